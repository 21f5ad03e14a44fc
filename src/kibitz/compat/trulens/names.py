"""Which module of TruLens has which name, and what it is here: `module:attribute`."""

from __future__ import annotations

from typing import Final

_ROOT = "kibitz.compat.trulens"
_APPS = f"{_ROOT}.apps"
_SESSION = f"{_ROOT}.session"
_FEEDBACK = f"{_ROOT}.feedback"
_PROVIDERS = f"{_ROOT}.providers"
_LENS: dict[str, str] = dict.fromkeys(("Lens", "JSONPath"), "kibitz.judging.lenses:Lens")
_SELECT: dict[str, str] = {"Select": "kibitz.judging.select:Select"}
_MODES: dict[str, str] = {
    name: f"kibitz.judging.modes:{name}"
    for name in (
        "FeedbackCombinations",
        "FeedbackMode",
        "FeedbackOnMissingParameters",
        "FeedbackResultStatus",
        "FeedbackRunLocation",
    )
}
_FUNCTIONS: dict[str, str] = {
    "Feedback": f"{_FEEDBACK}:Feedback",
    "InvalidSelector": "kibitz.judging.modes:InvalidSelector",
    "SkipEval": "kibitz.judging.modes:SkipEval",
    "Provider": "kibitz.base.provider:Provider",
}
_RESULTS: dict[str, str] = {
    "FeedbackCall": "kibitz.judging.results:FeedbackCall",
    "FeedbackDefinition": f"{_FEEDBACK}:FeedbackDefinition",
    "FeedbackResult": "kibitz.judging.results:FeedbackResult",
}
_GROUND_TRUTH: dict[str, str] = {
    "GroundTruthAgreement": f"{_PROVIDERS}:GroundTruthAgreement",
    "GroundTruthAggregator": f"{_PROVIDERS}:GroundTruthAggregator",
}
_JUDGES: dict[str, str] = {
    name: f"kibitz.providers:{name}"
    for name in ("AzureOpenAI", "Cohere", "Huggingface", "HuggingfaceLocal", "LiteLLM", "OpenAI")
}
_GUARDRAILS: dict[str, str] = {
    name: f"kibitz.judging.guardrails:{name}"
    for name in ("block_input", "block_output", "context_filter")
}
_TRU: dict[str, str] = {"Tru": f"{_SESSION}:TruSession", "TruSession": f"{_SESSION}:TruSession"}
_BASIC: dict[str, str] = {
    name: f"{_APPS}:{name}" for name in ("TruApp", "TruBasicApp", "TruWrapperApp")
}
_CUSTOM: dict[str, str] = {
    "TruApp": f"{_APPS}:TruApp",
    "TruCustomApp": f"{_APPS}:TruCustomApp",
    "instrument": "kibitz.apps.wrapping:instrument",
}
_VIRTUAL: dict[str, str] = {
    name: f"{_ROOT}.virtual:{name}" for name in ("TruVirtual", "VirtualApp", "VirtualRecord")
}
_CHAIN: dict[str, str] = {name: f"{_ROOT}.frameworks:{name}" for name in ("Langchain", "TruChain")}
_LLAMA: dict[str, str] = {"TruLlama": f"{_ROOT}.frameworks:TruLlama"}
_RAILS: dict[str, str] = {name: f"{_ROOT}.frameworks:{name}" for name in ("NeMo", "TruRails")}
_DATA: dict[str, str] = {
    "Cost": "kibitz.judging.records:Cost",
    "Perf": "kibitz.judging.records:Perf",
    "Record": "kibitz.judging.records:Record",
    "RecordAppCall": "kibitz.judging.records:RecordCall",
}

MODULES: Final[dict[str, dict[str, str]]] = {
    "trulens": {},
    "trulens.core": {
        **_TRU,
        **_FUNCTIONS,
        **_SELECT,
        "FeedbackMode": _MODES["FeedbackMode"],
        "TruApp": _BASIC["TruApp"],
    },
    "trulens.core.app": {"App": f"{_APPS}:TruApp"},
    "trulens.core.instruments": {"instrument": _CUSTOM["instrument"]},
    "trulens.core.session": _TRU,
    "trulens.core.feedback": _FUNCTIONS,
    "trulens.core.feedback.feedback": _FUNCTIONS,
    "trulens.core.feedback.provider": {"Provider": _FUNCTIONS["Provider"]},
    "trulens.core.guardrails": {},
    "trulens.core.guardrails.base": _GUARDRAILS,
    "trulens.core.schema": {**_SELECT, **_RESULTS, **_MODES, **_DATA},
    "trulens.core.schema.base": {name: _DATA[name] for name in ("Cost", "Perf")},
    "trulens.core.schema.app": {"AppDefinition": f"{_APPS}:AppDefinition"},
    "trulens.core.schema.feedback": {**_RESULTS, **_MODES},
    "trulens.core.schema.record": {name: _DATA[name] for name in ("Record", "RecordAppCall")},
    "trulens.core.schema.select": _SELECT,
    "trulens.core.utils": {},
    "trulens.core.utils.serial": _LENS,
    "trulens.feedback": {
        **_GROUND_TRUTH,
        **_JUDGES,
        "Embeddings": "kibitz.providers:Embeddings",
        "Feedback": _FUNCTIONS["Feedback"],
        "Provider": _FUNCTIONS["Provider"],
    },
    "trulens.feedback.groundtruth": _GROUND_TRUTH,
    "trulens.feedback.embeddings": {"Embeddings": "kibitz.providers:Embeddings"},
    "trulens.providers": {},
    "trulens.providers.openai": {name: _JUDGES[name] for name in ("AzureOpenAI", "OpenAI")},
    "trulens.providers.huggingface": {
        name: _JUDGES[name] for name in ("Huggingface", "HuggingfaceLocal")
    },
    "trulens.providers.litellm": {"LiteLLM": _JUDGES["LiteLLM"]},
    "trulens.providers.cohere": {"Cohere": _JUDGES["Cohere"]},
    "trulens.apps": {},
    "trulens.apps.app": {"TruApp": _BASIC["TruApp"], "instrument": _CUSTOM["instrument"]},
    "trulens.apps.basic": _BASIC,
    "trulens.apps.custom": _CUSTOM,
    "trulens.apps.virtual": _VIRTUAL,
    "trulens.apps.langchain": _CHAIN,
    "trulens.apps.llamaindex": _LLAMA,
    "trulens.apps.nemo": _RAILS,
    "trulens.dashboard": {"run_dashboard": f"{_SESSION}:run_dashboard"},
}
