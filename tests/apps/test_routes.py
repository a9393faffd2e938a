"""Of the routes that Gradio has, a demo answers those alone that the gate knows."""

import pytest

from apps.parts import gate
from tests.apps.parts.gate.page import closed_anyway, routes_of


@pytest.mark.slow
@pytest.mark.parametrize("fixture", ["served", "served_images"])
def test_of_a_demo_neither(request: pytest.FixtureRequest, fixture: str) -> None:
    demo = request.getfixturevalue(fixture)
    routes = [one for one in routes_of(demo.app.routes) if one[0] not in gate.routes(uploads=True)]
    assert len(routes) > 30 and closed_anyway(str(demo.local_url), routes) == []
