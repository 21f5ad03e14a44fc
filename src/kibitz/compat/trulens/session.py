"""`TruSession` over a project: records and results are those of the store, evaluators are `kibitz worker`."""

from __future__ import annotations

import concurrent.futures
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from inspect import isfunction
from typing import Any, NoReturn

from kibitz.apps.records import AppRecord
from kibitz.asking import beginning
from kibitz.asking.judging import add_feedback
from kibitz.asking.places import Place
from kibitz.base import refs
from kibitz.base.errors import KibitzError, NotFound, UsageError, class_of
from kibitz.compat.trulens import datasets, frames
from kibitz.judging.functions import Feedback
from kibitz.judging.records import Record
from kibitz.judging.results import FeedbackResult
from kibitz.tracing import session as sessions

PROJECT = "trulens"
GROUND_TRUTH = "kibitz.compat.trulens.providers"
_STOP_S = 30.0


class TruSession:
    """The project that a program records to.

    Args:
        connector: TruLens' own database; Kibitz has one store, so this cannot be used.
        project: the project; that of the running session without, or `trulens`.
        url: of a server.
        data: the data folder.
        options: databases and keys of TruLens, which say nothing here.

    Raises:
        UsageError: a connector or another database is named.
    """

    def __init__(
        self,
        connector: Any = None,
        *,
        project: str | None = None,
        url: str | None = None,
        data: str | None = None,
        **options: Any,
    ) -> None:
        if connector is not None or options.get("database_url"):
            raise UsageError(
                "Kibitz keeps records in its own store; name a data folder, TruSession(data=…), or a server, "
                "TruSession(url=…)",
                field="connector" if connector is not None else "database_url",
            )
        running = sessions.current()
        if running is None or any(each is not None for each in (project, url, data)):
            running = beginning.begin(
                project or (PROJECT if running is None else running.project),
                url,
                {} if data is None else {"data": data},
                {},
            )
        self.project = running.project
        self._evaluator: subprocess.Popen[bytes] | None = None
        self._dashboard: subprocess.Popen[bytes] | None = None

    # Apps.

    def App(self, app: Any, **options: Any) -> Any:
        """The wrapper that fits: of a function, a LangChain or LlamaIndex object, data, or any other object."""
        return _fitting(app)(app, **options)

    def Basic(self, *args: Any, **options: Any) -> Any:
        """A `TruBasicApp`."""
        from kibitz.compat.trulens import apps

        return apps.TruBasicApp(*args, **options)

    def Custom(self, *args: Any, **options: Any) -> Any:
        """A `TruCustomApp`."""
        from kibitz.compat.trulens import apps

        return apps.TruCustomApp(*args, **options)

    def Virtual(self, *args: Any, **options: Any) -> Any:
        """A `TruVirtual`."""
        from kibitz.compat.trulens import virtual

        return virtual.TruVirtual(*args, **options)

    def Chain(self, *args: Any, **options: Any) -> Any:
        """A `TruChain`."""
        from kibitz.compat.trulens import frameworks

        return frameworks.TruChain(*args, **options)

    def Llama(self, *args: Any, **options: Any) -> Any:
        """A `TruLlama`."""
        from kibitz.compat.trulens import frameworks

        return frameworks.TruLlama(*args, **options)

    def Rails(self, *args: Any, **options: Any) -> Any:
        """`TruRails`."""
        from kibitz.compat.trulens import frameworks

        return frameworks.TruRails(*args, **options)

    # Results.

    def run_feedback_functions(
        self,
        record: Record,
        feedback_functions: Sequence[Feedback],
        app: Any = None,
        wait: bool = True,
    ) -> Iterator[FeedbackResult | Future[FeedbackResult]]:
        """Apply feedback functions to a record, at the same time; nothing is stored.

        Args:
            record: what is judged.
            feedback_functions: what judges it.
            app: what selectors of the app see.
            wait: give results, as they come; otherwise their futures at once.
        """
        with ThreadPoolExecutor(max(1, min(8, len(feedback_functions)))) as pool:
            futures = [pool.submit(each.run, app, record) for each in feedback_functions]
            if not wait:
                yield from futures
                return
            for future in concurrent.futures.as_completed(futures):
                yield future.result()

    def add_feedback(
        self,
        feedback_result_or_future: FeedbackResult | Future[FeedbackResult] | None = None,
        *,
        name: str | None = None,
        record_id: str | None = None,
        result: float | Mapping[str, float] | None = None,
        author: str = "",
        **told: Any,
    ) -> str:
        """Store a number about a record, as a person would say it, and give the id of the judgement.

        Its type is the name and its payload `{"value": result}`; a name that cannot be a type, as one with spaces, is
        written with `_` for the type and kept in the payload. What feedback functions say is stored by apps and
        workers, with the version that said it.

        Args:
            feedback_result_or_future: a result, which is waited for.
            name: of what is said; that of the result without.
            record_id: of the record; that of the result without.
            result: the number, or numbers by name; that of the result without.
            author: who says it.
            told: further fields of TruLens' results, as `app_id`, which say nothing here.

        Raises:
            UsageError: there is no number, no name or no record.
            KibitzError: it was not stored; the message says why.
        """
        del told
        given = feedback_result_or_future
        if isinstance(given, Future):
            given = given.result()
        if given is not None:
            name, record_id = name or given.name, record_id or given.record_id
            result = given.output if result is None else result
        if not name or not record_id or result is None:
            why = (
                ""
                if given is None or given.reason is None
                else f"; the result says: {given.reason}"
            )
            raise UsageError(f"a judgement needs name, record_id and result{why}")
        type_, payload = _said(name, result)
        judgement = {
            "type": type_,
            "target_ref": refs.call_ref(self.project, record_id),
            "payload": payload,
            "author": author,
        }
        [outcome] = add_feedback(self.project, [judgement])
        if outcome.error is not None:
            kind = class_of(outcome.error.code) or KibitzError
            raise kind(outcome.error.message, **outcome.error.details)
        return str(outcome.id)

    def add_feedbacks(
        self, feedback_results: Iterable[FeedbackResult | Future[FeedbackResult]]
    ) -> list[str]:
        """`add_feedback` for each."""
        return [self.add_feedback(each) for each in feedback_results]

    def get_records_and_feedback(
        self,
        app_ids: Sequence[str] | None = None,
        offset: int | None = None,
        limit: int | None = None,
    ) -> tuple[Any, list[str]]:
        """Records with what feedback functions said of them, as a pandas frame, and the names of these functions.

        Args:
            app_ids: only of these apps.
            offset: how many to leave out, newest first.
            limit: how many to give; 1,000 without.
        """
        with Place(self.project).opened() as store:
            return frames.records(store, self.project, app_ids, offset or 0, limit)

    def get_leaderboard(
        self,
        app_ids: Sequence[str] | None = None,
        group_by_metadata_key: str | None = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> Any:
        """The means of each feedback function by app and version, or by a key of the metadata, as a pandas frame."""
        found, names = self.get_records_and_feedback(app_ids, offset, limit)
        return frames.leaderboard(found, names, group_by_metadata_key)

    def get_apps(self) -> list[dict[str, Any]]:
        """The JSON of every app that left a record here, each version of each name."""
        with Place(self.project).opened() as store:
            return list(frames.by_ref(store, self.project).values())

    def get_app(self, app_id: str) -> dict[str, Any]:
        """The JSON of one app; raises `NotFound`."""
        for each in self.get_apps():
            if each.get("app_id") == app_id:
                return each
        raise NotFound(f"project {self.project!r} has no app {app_id!r}")

    def add_app(self, app: Any) -> str:
        """The id of an app, which is stored with its first record."""
        return str(app.app_id)

    def add_record(self, record: AppRecord) -> str:
        """The id of a record, which its app has stored when it was made."""
        return record.record_id

    def add_record_nowait(self, record: AppRecord) -> None:
        """Nothing: its app has stored it."""
        del record

    # Ground truth, which is an object of the project.

    def add_ground_truth_to_dataset(
        self, dataset_name: str, ground_truth_df: Any, dataset_metadata: Any = None
    ) -> str:
        """Store golden responses under a name and give their reference; those that are there already stay.

        Args:
            dataset_name: a name of letters, digits, `_`, `.` and `-`, beginning with a letter.
            ground_truth_df: a pandas frame, or a list of mappings, as `GroundTruthAgreement` takes it.
            dataset_metadata: kept with them.

        Raises:
            KibitzError: they cannot be stored; the message says why.
        """
        return datasets.add(self.project, dataset_name, ground_truth_df, dataset_metadata)

    def get_ground_truth(self, dataset_name: str) -> Any:
        """The golden responses of a name as a pandas frame; raises `NotFound`."""
        return datasets.get(self.project, dataset_name)

    # Evaluators and pages, which are processes of their own.

    def start_evaluator(
        self,
        restart: bool = False,
        *,
        return_when_done: bool = False,
        allow: Sequence[str] = (),
        **options: Any,
    ) -> subprocess.Popen[bytes] | None:
        """Start `kibitz worker` for this project.

        Args:
            restart: stop one that this session started before.
            return_when_done: wait until nothing is left to evaluate.
            allow: modules that it may import feedback functions from, besides those of Kibitz.
            options: of TruLens' evaluator, which say nothing here.

        Raises:
            UsageError: one runs already.
        """
        del options
        if self._evaluator is not None and self._evaluator.poll() is None:
            if not restart:
                raise UsageError("an evaluator of this session runs already; restart=True")
            self.stop_evaluator()
        # Golden responses under TruLens' name are a provider of this package.
        modules = (GROUND_TRUTH, *allow)
        allowed = [part for module in modules for part in ("--allow", module)]
        until = ["--until-idle"] if return_when_done else []
        started = self._command("worker", self.project, "--app-dir", os.getcwd(), *allowed, *until)
        if return_when_done:
            started.wait()
            return None
        self._evaluator = started
        return started

    start_deferred_feedback_evaluator = start_evaluator

    def stop_evaluator(self) -> None:
        """Stop the evaluator that this session started; what it has begun is finished or given back.

        Raises:
            UsageError: there is none.
        """
        if self._evaluator is None:
            raise UsageError("no evaluator of this session runs")
        _stop(self._evaluator)
        self._evaluator = None

    def run_dashboard(self, port: int | None = None, **options: Any) -> subprocess.Popen[bytes]:
        """Start `kibitz serve`, which prints its address.

        Args:
            port: where it listens; one that is free without.
            options: of TruLens' dashboard, which say nothing here.
        """
        del options
        self._dashboard = self._command("serve", "--port", str(port or 0))
        return self._dashboard

    start_dashboard = run_dashboard

    def stop_dashboard(self) -> None:
        """Stop what `run_dashboard` started; without, nothing happens."""
        if self._dashboard is not None:
            _stop(self._dashboard)
            self._dashboard = None

    # What Kibitz does otherwise.

    def migrate_database(self, **options: Any) -> None:
        """Nothing: a store is brought up to date when it is opened."""
        del options

    def delete_app(self, app_id: str) -> NoReturn:
        """Raises `UsageError`, as `reset_database` does."""
        raise UsageError(
            f"Kibitz throws nothing away in passing; to delete its calls: kibitz bulk delete {self.project} "
            f"'attributes.app_id = \"{app_id}\"'"
        )

    def reset_database(self) -> NoReturn:
        """Raises `UsageError`: nothing that is stored is thrown away in passing."""
        raise UsageError(
            f"Kibitz throws nothing away in passing; to delete calls say which: kibitz bulk delete {self.project} QUERY, "
            "or take another data folder"
        )

    def __getattr__(self, name: str) -> NoReturn:
        there = ", ".join(each for each in dir(type(self)) if not each.startswith("_"))
        raise AttributeError(
            f"TruSession has no {name!r} in Kibitz: its store is read with kibitz.calls({self.project!r}), and pages "
            f"are `kibitz serve`; it has {there}"
            if not name.startswith("__") and "project" in self.__dict__
            else name
        )

    def __str__(self) -> str:
        return f"TruSession of project {self.project!r}"

    def _command(self, *words: str) -> subprocess.Popen[bytes]:
        running = sessions.current()
        if running is not None:
            running.flush()
        where = Place(self.project).source()
        place = ("--url", where.url) if where.url else ("--data", str(where.folder))
        if words[0] == "serve":
            place = ("--data", str(where.folder))
        return subprocess.Popen([sys.executable, "-m", "kibitz.cli", *words, *place])


def _said(name: str, result: float | Mapping[str, float]) -> tuple[str, dict[str, Any]]:
    """The type and the payload of a judgement: a name that cannot be a type is kept in the payload."""
    value = (
        {key: float(each) for key, each in result.items()}
        if isinstance(result, Mapping)
        else float(result)
    )
    type_ = re.sub(r"[^A-Za-z0-9_.-]+", "_", name)
    if not type_[0].isalpha():
        type_ = f"feedback_{type_}"
    return type_, {"value": value} if type_ == name else {"value": value, "name": name}


def run_dashboard(session: TruSession | None = None, **options: Any) -> subprocess.Popen[bytes]:
    """`TruSession.run_dashboard`."""
    return (session or TruSession()).run_dashboard(**options)


def stop_dashboard(session: TruSession | None = None, **options: Any) -> None:
    """`TruSession.stop_dashboard`."""
    del options
    if session is not None:
        session.stop_dashboard()


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _fitting(app: Any) -> type[Any]:
    """The wrapper that fits an object, by where its class comes from."""
    from kibitz.compat.trulens import apps, frameworks, virtual

    modules = {kind.__module__.partition(".")[0] for kind in type(app).__mro__}
    if modules & {"langchain", "langchain_core", "langgraph"}:
        return frameworks.TruChain
    if "llama_index" in modules:
        return frameworks.TruLlama
    if isinstance(app, dict):
        return virtual.TruVirtual
    return apps.TruBasicApp if isfunction(app) else apps.TruCustomApp
