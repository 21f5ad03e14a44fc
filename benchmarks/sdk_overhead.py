"""What recording costs the program's own thread per call, against the bare OpenTelemetry SDK.

    python -m benchmarks.sdk_overhead --json [--quick]

A nested pair of functions: the outer one is given about 1 kB (chat messages), the inner one returns 0.8 kB
of text, and both are traced. OpenTelemetry: two spans with hand-written JSON attributes for the same values, a
batch processor and an exporter. Both exporters run while the calls do, and both sinks consume what they get:
they turn each batch into bytes and throw these away. Nothing may be dropped on either side; the run fails if
something is.

Rounds of the two and of the bare functions take turns in one process. A call's time is half of its pair's; the
time of the bare functions is reported beside and not subtracted.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

import kibitz
from kibitz.base.records import Batch, Receipt
from kibitz.base.settings import TracingSettings
from kibitz.tracing import session as sessions
from kibitz.tracing.session import Session

MESSAGES: list[dict[str, str]] = [
    {"role": "system", "content": "You answer questions about the manual, and you quote it. " * 4},
    {"role": "user", "content": "How do I cancel a running job without losing its log? " * 8},
    {"role": "assistant", "content": "Do you mean a job of your own or of somebody else? " * 4},
    {"role": "user", "content": "One of my own."},
]
ANSWER = ("Open the job, press cancel, and choose to keep its log. " * 15)[:800]
QUEUE = 1 << 18


class Sink:
    """Takes batches as a server would: as bytes."""

    def __init__(self) -> None:
        self.calls = 0
        self.bytes = 0
        self._encode = msgspec.json.Encoder().encode

    def write(self, batch: Batch) -> Receipt:
        self.bytes += len(self._encode(batch))
        self.calls += sum(1 for part in batch.calls if part.ended_at is not None)
        return Receipt(calls=len(batch.calls))

    def close(self) -> None:
        return


class SpanSink(SpanExporter):
    """The same for spans."""

    def __init__(self) -> None:
        self.spans = 0
        self.bytes = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        for span in spans:
            self.bytes += len(span.to_json(indent=None))
        self.spans += len(spans)
        return SpanExportResult.SUCCESS


def plain_inner(messages: list[dict[str, str]], temperature: float) -> str:
    return ANSWER


def plain_outer(messages: list[dict[str, str]]) -> str:
    return plain_inner(messages, 0.2)


inner = kibitz.op(name="inner")(plain_inner)


@kibitz.op(name="outer")
def outer(messages: list[dict[str, str]]) -> str:
    return inner(messages, 0.2)


def otel_pair(tracer: Any) -> Callable[[list[dict[str, str]]], str]:
    def traced_inner(messages: list[dict[str, str]], temperature: float) -> str:
        with tracer.start_as_current_span("inner") as span:
            span.set_attribute(
                "inputs", json.dumps({"messages": messages, "temperature": temperature})
            )
            output = plain_inner(messages, temperature)
            span.set_attribute("output", json.dumps(output))
            return output

    def traced_outer(messages: list[dict[str, str]]) -> str:
        with tracer.start_as_current_span("outer") as span:
            span.set_attribute("inputs", json.dumps({"messages": messages}))
            output = traced_inner(messages, 0.2)
            span.set_attribute("output", json.dumps(output))
            return output

    return traced_outer


def run_round(pair: Callable[[list[dict[str, str]]], str], pairs: int, times: list[int]) -> None:
    """Call the pair and note how long each took, in nanoseconds."""
    clock = time.perf_counter_ns
    for _ in range(pairs):
        started = clock()
        pair(MESSAGES)
        times.append(clock() - started)


def measure(*, rounds: int, pairs: int) -> dict[str, Any]:
    """Run the rounds and give the figures; raises `AssertionError` where something was dropped."""
    sink, span_sink = Sink(), SpanSink()
    provider = TracerProvider()
    processor = BatchSpanProcessor(span_sink, max_queue_size=QUEUE, max_export_batch_size=512)
    provider.add_span_processor(processor)
    otel = otel_pair(provider.get_tracer("benchmark"))
    times: dict[str, list[int]] = {"kibitz": [], "otel": [], "bare": []}
    with tempfile.TemporaryDirectory() as folder:
        settings = TracingSettings(data=folder, queue_calls=QUEUE, print_summary=False)
        session = Session(
            "benchmark", settings, target="a local sink", factory=lambda: sink, transport=sink
        )
        sessions.use(session)
        session.start()
        for number in range(rounds + 1):
            # The first round warms up.
            kept = times if number else {name: [] for name in times}
            for name, pair in (("bare", plain_outer), ("kibitz", outer), ("otel", otel)):
                run_round(pair, pairs, kept[name])
                session.flush(60.0)
                provider.force_flush(60_000)
        report = session.finish(60.0)
        provider.shutdown()
    expected = (rounds + 1) * pairs * 2
    assert report.complete, f"Kibitz did not deliver everything: {report}"
    assert sink.calls == expected, f"Kibitz delivered {sink.calls} of {expected} calls"
    assert span_sink.spans == expected, (
        f"OpenTelemetry delivered {span_sink.spans} of {expected} spans"
    )
    figures: dict[str, Any] = {}
    for name, values in times.items():
        each = [value / 2000 for value in values]
        cuts = statistics.quantiles(each, n=100)
        figures[f"{name}_p50_us"] = round(cuts[49], 2)
        figures[f"{name}_p99_us"] = round(cuts[98], 2)
        figures[f"{name}_mean_us"] = round(statistics.fmean(each), 2)
    figures["ratio_p50"] = round(figures["kibitz_p50_us"] / figures["otel_p50_us"], 3)
    figures["ratio_p99"] = round(figures["kibitz_p99_us"] / figures["otel_p99_us"], 3)
    figures["calls_each"] = expected
    figures["dropped"] = 0
    figures["input_bytes"] = len(json.dumps(MESSAGES))
    figures["output_bytes"] = len(ANSWER)
    figures["cpus"] = os.cpu_count()
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    options = parser.parse_args()
    result = measure(rounds=3 if options.quick else 20, pairs=2000)
    if options.json:
        print(json.dumps(result))
    else:
        for name, value in result.items():
            print(f"{name:>16}  {value}")


if __name__ == "__main__":
    main()
