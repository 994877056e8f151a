"""Secrets are read from Secret Manager by its own protocol, from a server on this machine."""

from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from google.cloud.secretmanager import SecretManagerServiceClient
from google.cloud.secretmanager_v1.services.secret_manager_service.transports import SecretManagerServiceGrpcTransport
from google.cloud.secretmanager_v1.types import (
    AccessSecretVersionRequest,
    AccessSecretVersionResponse,
    SecretPayload,
)

from tidings.adapters import secrets
from tidings.settings import SettingsError

NAME = "projects/p/secrets/tidings-secret/versions/1"
HELD = {NAME: b"a secret that is held", "projects/p/secrets/odd/versions/1": b"\xff"}


def _access(request, context):
    if request.name not in HELD:
        context.abort(grpc.StatusCode.PERMISSION_DENIED, "nobody may know")
    return AccessSecretVersionResponse(name=request.name, payload=SecretPayload(data=HELD[request.name]))


@pytest.fixture(scope="module")
def client():
    access = grpc.unary_unary_rpc_method_handler(
        _access,
        request_deserializer=AccessSecretVersionRequest.deserialize,
        response_serializer=AccessSecretVersionResponse.serialize,
    )
    service = "google.cloud.secretmanager.v1.SecretManagerService"
    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {"AccessSecretVersion": access}),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield SecretManagerServiceClient(transport=SecretManagerServiceGrpcTransport(channel=channel))
    server.stop(None).wait()


def test_the_version_that_is_named_is_read(client):
    assert secrets.read(NAME, client) == "a secret that is held"


def test_what_may_not_be_read_is_said_by_its_name(client):
    with pytest.raises(SettingsError, match=r"versions/2 cannot be read: PermissionDenied$"):
        secrets.read("projects/p/secrets/tidings-secret/versions/2", client)


def test_what_is_no_text_is_no_secret(client):
    with pytest.raises(SettingsError, match=r"is no text$"):
        secrets.read("projects/p/secrets/odd/versions/1", client)


@pytest.mark.parametrize("text", ["", "a secret", "projects/p/secrets/s", f"{NAME}/x", f"x{NAME}", f"{NAME}\n"])
def test_a_secret_is_not_taken_for_a_name(text):
    assert not secrets.is_name(text)
    assert secrets.is_name(NAME)
    assert secrets.is_name("projects/p/secrets/s/versions/latest")
