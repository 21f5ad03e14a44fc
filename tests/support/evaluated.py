"""A project with a feedback definition, calls to apply it to, and what a worker says of its runs; over HTTP."""

from __future__ import annotations

from typing import Any

from asking import Answer, send

from kibitz.base import api, refs, wire

PROJECT = "acme/bot"


def definition(name: str = "brief", **value: Any) -> dict[str, Any]:
    """An object part whose value is a feedback definition."""
    said = {
        "$type": "feedback_definition",
        "name": name,
        "implementation": {"module": "kibitz.providers.local", "name": name},
        "selectors": {"text": "main_output"},
        **value,
    }
    digest = refs.digest(wire.encode_record(dict(sorted(said.items()))))
    return {"kind": "object", "name": name, "digest": digest, "value": said}


def ref_of(part: dict[str, Any], project: str = PROJECT) -> str:
    """What the definition is called by its evaluations."""
    return refs.format_ref(
        refs.Ref(project=project, kind="object", name=part["name"], digest=part["digest"])
    )


def call(call_id: str, **fields: Any) -> dict[str, Any]:
    """A call that has ended."""
    return {
        "id": call_id,
        "op": "answer",
        "started_at": "2026-03-01T12:00:00Z",
        "ended_at": "2026-03-01T12:00:01Z",
        "inputs": {"question": "why?"},
        "output": "because",
        **fields,
    }


def fill(url: str, *, calls: int = 3, name: str = "brief", project: str = PROJECT) -> str:
    """Store a definition and calls `c0`, `c1` …; gives the reference of the definition."""
    part = definition(name)
    body = {
        "project": project,
        "calls": [call(f"c{n}") for n in range(calls)],
        "objects": [part],
    }
    answer = send(url, api.INGEST, body)
    assert answer.status == 200
    assert "rejected" not in answer.json
    return ref_of(part, project)


def want(url: str, ref: str, **asked: Any) -> Answer:
    """Want evaluations."""
    return send(url, api.EVALUATIONS_WANT, {"project": PROJECT, "definitions": [ref], **asked})


def claim(url: str, **asked: Any) -> list[dict[str, Any]]:
    """Claim what is due."""
    answer = send(url, api.EVALUATIONS_CLAIM, {"worker": "w", "limit": 100, "lease_s": 60, **asked})
    assert answer.status == 200, answer.body
    return answer.json["claims"]


def done(claimed: dict[str, Any], output: Any = 1.0, **part: Any) -> dict[str, Any]:
    """What a worker says of a run that has ended well."""
    return {
        "part": {
            "id": claimed["run_id"],
            "definition_ref": claimed["definition_ref"],
            "call_id": claimed["call_id"],
            "status": "done",
            "output": output,
            **part,
        }
    }
