"""The page that a person sees instead of a problem document."""

from __future__ import annotations

from companyos.server.asgi import Scope, caller_of, csrf_of
from companyos.server.problems import Problem
from companyos.tower.render import Frame, page


def problem_page(scope: Scope, problem: Problem) -> str:
    """Return the page for a problem, in the frame of the Control Tower."""
    frame = Frame(subject=caller_of(scope).subject, nav=(), csrf=csrf_of(scope), theme="auto")
    return page(
        "problem.html",
        frame,
        status=problem.status,
        title=problem.title,
        detail=problem.detail,
        next_step=problem.next_step,
        request_id=problem.request_id,
    )
