"""What the environment, profiles and options say, right or wrong, before any credential is used."""

import asyncio
import pickle
import subprocess
import sys

import boto3
import pytest
from tako_bedrock import Bedrock

from tako.errors import AuthenticationError, ConfigurationError, TransportError
from tako.testing.server import reply, serve


def test_missing_credentials_are_an_error_before_anything_is_sent(aws):
    aws.delenv("AWS_ACCESS_KEY_ID")
    aws.delenv("AWS_SECRET_ACCESS_KEY")
    with serve(reply(json={})) as server:
        provider = Bedrock("m", region="us-east-1", endpoint_url=server.url)
        with pytest.raises(ConfigurationError) as caught:
            provider.blocking.chat("Hello")
    assert not server.requests
    assert "tried the environment, the profile 'default'" in str(caught.value)
    assert "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "options", "text"),
    [
        ({}, {}, "has no AWS region: tried AWS_DEFAULT_REGION, the profile 'default' and AWS_REGION"),
        ({"AWS_PROFILE": "gone"}, {"region": "us-east-1"}, r"config profile \(gone\) could not be found"),
        ({}, {"region": "not a region"}, "region 'not a region'.*|.*not a region"),
        ({"AWS_SECRET_ACCESS_KEY": ""}, {"region": "us-east-1"}, "Partial credentials.*AWS_SECRET_ACCESS_KEY"),
    ],
    ids=["no region", "no such profile", "no such region", "half a pair"],
)
def test_a_wrong_setting_is_a_configuration_error_of_one_line(aws, settings, options, text):
    for name, value in settings.items():
        aws.setenv(name, value)
    with pytest.raises(ConfigurationError, match=text) as caught:
        Bedrock("m", **options).blocking.chat("Hello")
    assert "\n" not in str(caught.value)


def test_a_source_that_can_not_be_reached_is_a_transport_error(aws, tmp_path):
    aws.delenv("AWS_ACCESS_KEY_ID")
    (tmp_path / "token").write_text("web-identity")
    aws.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    aws.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/r")
    aws.setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:9")
    aws.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(TransportError, match="couldn't get AWS credentials") as caught:
        Bedrock("m", region="us-east-1", max_retries=0).blocking.chat("Hello")
    assert caught.value.provider == "bedrock"


def test_the_region_may_come_from_aws_region(aws):
    aws.setenv("AWS_REGION", "eu-north-1")
    assert asyncio.run(Bedrock("m").endpoint()) == "https://bedrock-runtime.eu-north-1.amazonaws.com"


def test_a_session_excludes_a_profile(aws):
    with pytest.raises(ConfigurationError, match="not both"):
        Bedrock("m", session=boto3.Session(region_name="us-east-1"), profile_name="work")


def test_boto3_is_imported_by_the_first_call_not_before(aws):
    code = (
        "import sys, tako_bedrock; p = tako_bedrock.Bedrock('m', region='us-east-1'); p.capabilities; repr(p);"
        "print(any(name.partition('.')[0] in ('boto3', 'botocore', 'httptools', 'httpx') for name in sys.modules))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"


def test_no_repr_pickle_or_error_has_secrets(aws):
    secret = "wJalrXUtnFEMI-bPxRfiCYEXAMPLEKEY"
    aws.setenv("AWS_SESSION_TOKEN", "SESSION+TOKEN")
    error = {"x-amzn-errortype": "InvalidSignatureException"}
    quoted = {"message": f"The Canonical String was x-amz-security-token:SESSION+TOKEN and not {secret}"}
    with serve(reply(json=quoted, status=403, headers=error)) as server:
        provider = Bedrock("m", region="us-east-1", endpoint_url=server.url)
        with pytest.raises(AuthenticationError) as caught:
            provider.blocking.chat("Hello")
    texts = [
        str(caught.value),
        repr(vars(caught.value)),
        repr(provider),
        repr(vars(provider)),
        repr(vars(provider.account)),
    ]
    texts += [repr(asyncio.run(provider.account.credentials())), str(pickle.dumps(provider))]
    assert not [text for text in texts if secret in text or "SESSION+TOKEN" in text]
