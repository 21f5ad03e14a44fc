"""The pages: HTML made on the server, one address for each state, usable without scripts.

A page is a frozen dataclass (`ProjectsPage`, `CallsPage` …) that is made from the store in a thread and rendered
by one template. What decides is pure and apart: `addresses` (state and address), `columns`, `timeline`, `values`,
`messages`, `formats`.
"""

from __future__ import annotations

from kibitz.server.pages import (
    annotation_forms,
    assets,
    bulk,
    call,
    calls,
    evaluations,
    feedback,
    feedback_forms,
    feedback_type,
    functions,
    login,
    op,
    projects,
    record,
    rules,
    specs,
    views,
)
from kibitz.server.pages.errors import page as error_page

handlers = [
    projects.show_projects,
    calls.list_calls,
    calls.count_calls,
    views.change_view,
    bulk.show_bulk,
    bulk.act,
    bulk.export,
    call.show_call,
    call.send_tree,
    call.send_value,
    record.show_record,
    evaluations.retry_evaluations,
    feedback.show_feedback,
    feedback.send_card,
    feedback_type.show_type,
    feedback_forms.add_feedback,
    feedback_forms.take_back,
    feedback_forms.show_history,
    annotation_forms.add_annotations,
    functions.list_functions,
    functions.show_function,
    functions.retry_runs,
    rules.list_rules,
    rules.show_rule,
    rules.new_rule,
    rules.edit_rule,
    rules.change_rule,
    rules.fill_back,
    specs.list_specs,
    specs.show_spec,
    specs.new_spec,
    specs.edit_spec,
    op.show_op,
    login.show_login,
    login.choose_theme,
    assets.send_asset,
]

__all__ = ["error_page", "handlers"]
