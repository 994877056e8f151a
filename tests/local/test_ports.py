"""A port that is free can be listened on, and one that answers is not free."""

import socket

import pytest

from tidings.local.ports import HOST, answers, free_port, is_free, next_free


def test_a_port_that_somebody_listens_on_answers_and_is_not_free() -> None:
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
        assert answers(port)("")
        assert not is_free(port)
    assert not answers(port)("")
    assert is_free(port)


@pytest.mark.skipif(not socket.has_ipv6, reason="This machine has no IPv6.")
def test_a_port_that_localhost_means_something_else_by_is_not_free() -> None:
    try:
        server = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("This machine has no IPv6 loopback.")
    with server:
        assert not is_free(server.getsockname()[1])


def test_the_next_free_port_is_the_wanted_one_or_one_after_it() -> None:
    port = free_port()
    assert next_free(port) == port
    with socket.create_server((HOST, port)):
        assert next_free(port) > port


def test_when_all_near_ports_are_taken_any_free_one_will_do() -> None:
    with socket.create_server((HOST, 0)) as server:
        taken = server.getsockname()[1]
        assert is_free(next_free(taken, tries=1))
