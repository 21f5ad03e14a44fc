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
    name: f"{_ROOT}.judges:{name}"
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
_CHAIN: dict[str, str] = {
    **{name: f"{_ROOT}.frameworks:{name}" for name in ("Langchain", "TruChain")},
    "WithFeedbackFilterDocuments": "kibitz.apps.langchain:WithFeedbackFilterDocuments",
}
_LLAMA: dict[str, str] = {
    "TruLlama": f"{_ROOT}.frameworks:TruLlama",
    "WithFeedbackFilterNodes": "kibitz.apps.llamaindex:WithFeedbackFilterNodes",
}
_RAILS: dict[str, str] = {name: f"{_ROOT}.frameworks:{name}" for name in ("NeMo", "TruRails")}
_DATA: dict[str, str] = {
    "Cost": "kibitz.judging.records:Cost",
    "Perf": "kibitz.judging.records:Perf",
    "Record": "kibitz.judging.records:Record",
    "RecordAppCall": "kibitz.judging.records:RecordCall",
}

_DASHBOARD: dict[str, str] = {
    name: f"{_SESSION}:{name}" for name in ("run_dashboard", "stop_dashboard")
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
    "trulens.apps.langchain.guardrails": _CHAIN,
    "trulens.apps.langchain.tru_chain": _CHAIN,
    "trulens.apps.llamaindex": _LLAMA,
    "trulens.apps.llamaindex.guardrails": _LLAMA,
    "trulens.apps.llamaindex.tru_llama": _LLAMA,
    "trulens.apps.nemo": _RAILS,
    "trulens.dashboard": _DASHBOARD,
    "trulens.dashboard.run": _DASHBOARD,
    "trulens.dashboard.display": {"get_feedback_result": f"{_ROOT}.frames:get_feedback_result"},
    "trulens_eval": {
        **_TRU,
        **_FUNCTIONS,
        **_SELECT,
        **_JUDGES,
        **_BASIC,
        **_CUSTOM,
        **_VIRTUAL,
        **_CHAIN,
        **_LLAMA,
        **_RAILS,
        "FeedbackMode": _MODES["FeedbackMode"],
    },
    "trulens_eval.app": {"App": f"{_APPS}:TruApp"},
    "trulens_eval.feedback": {**_GROUND_TRUTH, **_JUDGES, "Feedback": _FUNCTIONS["Feedback"]},
    "trulens_eval.feedback.provider": {**_JUDGES, "Provider": _FUNCTIONS["Provider"]},
    "trulens_eval.feedback.provider.hugs": {"Huggingface": _JUDGES["Huggingface"]},
    "trulens_eval.feedback.provider.litellm": {"LiteLLM": _JUDGES["LiteLLM"]},
    "trulens_eval.feedback.provider.openai": {
        name: _JUDGES[name] for name in ("AzureOpenAI", "OpenAI")
    },
    "trulens_eval.guardrails": {},
    "trulens_eval.guardrails.base": _GUARDRAILS,
    "trulens_eval.schema": {**_SELECT, **_RESULTS, **_MODES, **_DATA},
    "trulens_eval.schema.feedback": {**_RESULTS, **_MODES},
    "trulens_eval.tru_basic_app": _BASIC,
    "trulens_eval.tru_chain": _CHAIN,
    "trulens_eval.tru_custom_app": _CUSTOM,
    "trulens_eval.tru_llama": _LLAMA,
    "trulens_eval.tru_virtual": _VIRTUAL,
}

INSTEAD: Final[dict[str, str]] = {
    "Bedrock": "kibitz.providers.LiteLLM('bedrock/…') asks its models",
    "Cortex": "kibitz.providers.LiteLLM asks hosted models",
    "DefaultDBConnector": "a session names a data folder or a server: TruSession(data=…), TruSession(url=…)",
    "LLMProvider": "a judge of one's own extends kibitz.base.provider.Provider, or kibitz.providers.OpenAI",
    "Metric": "the model of 2.x; Feedback and Select do the same here",
    "Selector": "the model of 2.x; Select.spans(kind=…) selects calls by what they are",
    "SnowflakeFeedback": "Feedback runs in programs and in `kibitz worker`",
    "bedrock": "kibitz.providers.LiteLLM('bedrock/…') asks its models",
    "Langchain": "kibitz.providers.OpenAI(base_url=…) and LiteLLM ask what a LangChain model asks",
    "benchmark": "kibitz.providers.GroundTruthAggregator measures judges against labels",
    "cortex": "kibitz.providers.LiteLLM asks hosted models",
    "database": "a session names a data folder or a server: TruSession(data=…), TruSession(url=…)",
    "endpoint": "limits are arguments of a judge: OpenAI(rpm=…, tpm=…, concurrency=…, budget_usd=…)",
    "langchain": "kibitz.providers.OpenAI(base_url=…) and LiteLLM ask what a LangChain model asks",
    "prompts": "judges take criteria=… and additional_instructions=…",
    "streamlit": "`kibitz serve` has the pages",
}
"""What to take for a name or module that is not there."""
