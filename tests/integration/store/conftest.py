"""An S3 server for tests of what is kept in one."""

from collections.abc import Iterator

import boto3
import fsspec
import pytest
from moto.server import ThreadedMotoServer

from tests.services import free_port


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """An S3 server of a module's tests, with a bucket."""
    server = ThreadedMotoServer("127.0.0.1", free_port(), verbose=False)
    server.start()
    # What another test made keeps its endpoint, and would be taken for this server's.
    fsspec.filesystem("s3").clear_instance_cache()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", url := f"http://127.0.0.1:{server._port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "key")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        boto3.client("s3", endpoint_url=url).create_bucket(Bucket="pskd")
        yield "s3://pskd"
    fsspec.filesystem("s3").clear_instance_cache()
    server.stop()
