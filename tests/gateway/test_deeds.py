"""Which right a request of v1 needs: a table, and nothing open by being forgotten. Pure."""

import pytest

from factotum.gateway.access.protocol import Deed
from factotum.gateway.access.routes import deed_of


@pytest.mark.parametrize(
    ("method", "path", "deed"),
    [
        ("GET", "/v1/server", Deed.LOOK),
        ("GET", "/v1/openapi.json", Deed.LOOK),
        ("GET", "/metrics", Deed.LOOK),
        ("GET", "/v1/jobs", Deed.LIST),
        ("HEAD", "/v1/jobs/", Deed.LIST),
        ("GET", "/v1/events", Deed.WATCH),
        ("GET", "/v1/jobs/a-1.b", Deed.GET),
        ("GET", "/v1/jobs/a-1.b/graph", Deed.GET),
        ("GET", "/v1/jobs/a-1.b/events", Deed.WATCH),
        ("GET", "/v1/jobs/a-1.b/log", Deed.READ_LOG),
        ("GET", "/v1/jobs/a-1.b/log/events", Deed.READ_LOG),
        ("GET", "/v1/jobs/a-1.b/log/lines", Deed.READ_LOG),
        ("GET", "/v1/jobs/a-1.b/log/search", Deed.READ_LOG),
        ("GET", "/v1/jobs//log", Deed.READ_LOG),
        ("GET", "/v1/whatever", Deed.GET),
        ("GET", "/", Deed.GET),
        ("POST", "/v1/jobs", Deed.SUBMIT),
        ("POST", "/v1/check", Deed.SUBMIT),
        ("POST", "/v1/orders", Deed.CHANGE),
        ("POST", "/v1/jobs/a-1.b/cancel", Deed.CHANGE),
        ("DELETE", "/v1/server", Deed.CHANGE),
        ("BREW", "/v1/jobs/a-1.b/log", Deed.CHANGE),
    ],
)
def test_each_request_needs_its_right(method, path, deed):
    assert deed_of(method, path) is deed
