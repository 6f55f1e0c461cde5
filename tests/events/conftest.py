"""Deliveries that are made and ended with a test."""

import threading

import pytest

from factotum.events.delivery import Delivery
from factotum.events.posting import Poster
from factotum.events.urls import parse_webhook_url
from support.http.deliveries import QUICK, body_of


@pytest.fixture
def deliver():
    """Make deliveries to a URL; each must have ended when the test has."""
    made = []

    def make(url, policy=QUICK, **options):
        failures = []
        delivery = Delivery(
            lambda: Poster(parse_webhook_url(url), policy.timeout),
            body_of,
            policy=policy,
            warn=lambda each, answer: failures.append(
                (body_of(each), answer.status, answer.reason)
            ),
            **options,
        )
        made.append(delivery)
        return delivery, failures

    yield make
    for delivery in made:
        delivery.abort()
    assert [each for each in threading.enumerate() if each.name == "webhook"] == []
