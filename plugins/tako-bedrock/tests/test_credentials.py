"""Credentials come from boto3, in a thread, once for all calls. STS and instance metadata are on loopback."""

import asyncio
import pickle
import threading
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from botocore.credentials import RefreshableCredentials
from tako_bedrock import Bedrock
from tako_bedrock.credentials import MIN_REFRESH_AGE, THREAD, Account

from tako.errors import AuthenticationError, ConfigurationError
from tako.testing.server import reply, serve

ANSWER = {"output": {"message": {"role": "assistant", "content": [{"text": "Hi"}]}}, "stopReason": "end_turn"}
STS = """<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>{key}</AccessKeyId>
<SecretAccessKey>secret-of-{key}</SecretAccessKey><SessionToken>token-of-{key}</SessionToken>
<Expiration>{until}</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"""


HANG = 120.0
"""Seconds after which a test that waits for something fails."""


def until(seconds):
    return (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def key_of(request):
    return request.headers["authorization"].partition("Credential=")[2].partition("/")[0]


class Vendors:
    """Bedrock, STS and instance metadata in one server. Credentials are numbered; `lifetimes` are their seconds.

    While `gate` is closed, requests for credentials get no reply.
    """

    def __init__(self, *lifetimes):
        self.lifetimes = list(lifetimes)
        self.issued = 0
        self.keys_used = []
        self.expired = set()
        self.broken = False
        self.refused = 0
        self.gate, self.waiting = threading.Event(), threading.Event()
        self.gate.set()

    def __call__(self, request):
        if not request.path.startswith("/model/"):
            return self.issue(request)
        self.keys_used.append(key_of(request))
        if key_of(request) in self.expired:
            error = {"x-amzn-errortype": "ExpiredTokenException:http://internal.amazon.com/coral/"}
            return reply(json={"message": "The security token has expired"}, status=403, headers=error)
        return reply(json=ANSWER)

    def issue(self, request):
        if request.path == "/latest/api/token":
            return reply("metadata-token")
        if request.path.endswith("/security-credentials/"):
            return reply("the-role")
        if self.broken:
            self.refused += 1
            return reply("broken", status=500 if request.method == "GET" else 400)
        self.issued += 1
        self.waiting.set()
        key, lifetime = f"AKID{self.issued}", self.lifetimes.pop(0) if len(self.lifetimes) > 1 else self.lifetimes[0]
        if request.method == "GET":
            credentials = {"AccessKeyId": key, "SecretAccessKey": f"secret-of-{key}", "Token": f"token-of-{key}"}
            credentials |= {"Code": "Success", "Expiration": until(lifetime)}
            return reply(json=credentials, delay=self.gate.is_set)
        text = STS.format(key=key, until=until(lifetime))
        return reply(text, headers={"content-type": "text/xml"}, delay=self.gate.is_set)


@pytest.fixture(params=["sts", "imds"])
def source(request, aws, tmp_path):
    """Set up the environment for one of two sources, for which `Vendors` answers."""
    aws.delenv("AWS_ACCESS_KEY_ID")
    aws.delenv("AWS_SECRET_ACCESS_KEY")

    def use_server(url):
        if request.param == "imds":
            aws.setenv("AWS_EC2_METADATA_DISABLED", "false")
            aws.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", url)
            aws.setenv("AWS_METADATA_SERVICE_TIMEOUT", str(int(HANG)))
            return
        (tmp_path / "token").write_text("web-identity")
        aws.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
        aws.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/r")
        aws.setenv("AWS_ENDPOINT_URL_STS", url)

    return use_server


class Clock:
    """Stands still unless a test changes it."""

    now = 0.0

    def __call__(self):
        return self.now


def run(scenario, vendors, source, clock=None, **options):
    with serve(vendors) as server:
        source(server.url)

        async def main():
            async with Bedrock("m", region="us-east-1", endpoint_url=server.url, max_retries=0, **options) as provider:
                if clock is not None:
                    settings = {
                        "region": "us-east-1",
                        "profile_name": None,
                        "endpoint_url": server.url,
                        "session": None,
                    }
                    provider.account = Account(provider.id, **settings, clock=clock)
                await scenario(provider)

        asyncio.run(main())


async def chat_many_times(provider, count=100):
    return await asyncio.gather(*[provider.chat("Hello") for _ in range(count)])


async def chat_ten_times(provider):
    return await chat_many_times(provider, 10)


async def fetches_end():
    """Let the loop run until no credentials are being fetched."""
    while threads := [thread for thread in threading.enumerate() if thread.name == THREAD]:
        await asyncio.to_thread(threads[0].join, HANG)


def test_a_hundred_first_calls_load_credentials_once_and_do_not_block_the_loop(source):
    vendors = Vendors(3600)
    vendors.gate.clear()

    async def scenario(provider):
        calls = asyncio.ensure_future(chat_many_times(provider))
        assert await asyncio.to_thread(vendors.waiting.wait, HANG)
        assert not calls.done()
        vendors.gate.set()  # which only a loop that runs on can do
        await calls

    run(scenario, vendors, source)
    assert vendors.issued == 1
    assert vendors.keys_used == ["AKID1"] * 100


async def expire(provider):
    """Let the credentials expire. botocore's clock can't be set, and it keeps credentials of more than 15 minutes."""
    credentials = await provider.account.credentials()
    credentials.source._expiry_time = datetime.now(UTC) - timedelta(seconds=1)


def test_a_hundred_calls_refresh_expired_credentials_once(source):
    vendors = Vendors(600, 3600)

    async def scenario(provider):
        await provider.chat("Hello")
        await expire(provider)
        await chat_many_times(provider)

    run(scenario, vendors, source, Clock())
    assert vendors.issued == 2
    assert vendors.keys_used == ["AKID1"] + ["AKID2"] * 100


@pytest.mark.parametrize("source", ["sts"], indirect=True)  # botocore itself extends what metadata gives
def test_calls_go_on_with_valid_credentials_while_one_refresh_runs(source):
    vendors, clock = Vendors(600, 3600), Clock()

    async def scenario(provider):
        await chat_ten_times(provider)
        assert vendors.issued == 1
        clock.now += MIN_REFRESH_AGE
        vendors.gate.clear()
        await chat_ten_times(provider)
        assert set(vendors.keys_used) == {"AKID1"}
        vendors.gate.set()
        await fetches_end()
        await provider.chat("Hello")

    run(scenario, vendors, source, clock)
    assert vendors.issued == 2
    assert vendors.keys_used[-1] == "AKID2"


@pytest.mark.parametrize("source", ["sts"], indirect=True)  # botocore itself extends what metadata gives
def test_a_failed_refresh_does_not_fail_calls_with_valid_credentials(source):
    vendors, clock = Vendors(600), Clock()

    async def scenario(provider):
        await provider.chat("Hello")
        vendors.broken = True
        clock.now += MIN_REFRESH_AGE
        await chat_ten_times(provider)
        await fetches_end()
        await chat_ten_times(provider)

    run(scenario, vendors, source, clock)
    assert vendors.refused == 1
    assert vendors.keys_used == ["AKID1"] * 21


@pytest.mark.parametrize("source", ["sts"], indirect=True)  # as above
def test_expired_credentials_that_can_not_be_refreshed_fail_a_hundred_calls_after_one_attempt(source):
    vendors = Vendors(600)

    async def scenario(provider):
        await provider.chat("Hello")
        await expire(provider)
        vendors.broken = True
        calls = [provider.chat("Hello") for _ in range(100)]
        failed = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(failure) for failure in failed} == {AuthenticationError}

    run(scenario, vendors, source, Clock())
    assert vendors.refused == 1
    assert vendors.keys_used == ["AKID1"]


def test_expired_credentials_are_renewed_once_and_each_call_is_made_once_more(source):
    vendors = Vendors(3600)
    vendors.expired = {"AKID1"}
    run(chat_many_times, vendors, source)
    assert vendors.issued == 2
    assert vendors.keys_used.count("AKID1") <= 100
    assert vendors.keys_used.count("AKID2") == 100


def test_credentials_that_stay_expired_are_an_authentication_error(source):
    vendors = Vendors(3600)
    vendors.expired = {"AKID1", "AKID2"}

    async def scenario(provider):
        with pytest.raises(AuthenticationError, match="security token has expired"):
            await provider.chat("Hello")

    run(scenario, vendors, source)
    assert vendors.keys_used == ["AKID1", "AKID2"]


def test_the_error_names_expired_keys_of_the_environment(aws):
    vendors = Vendors(1)
    vendors.expired = {"AKIDEXAMPLE"}

    async def scenario(provider):
        with pytest.raises(AuthenticationError, match=r"source 'env'; renew or correct them") as caught:
            await provider.chat("Hello")
        assert caught.value.code == "ExpiredTokenException"
        assert "\n" not in str(caught.value)

    run(scenario, vendors, lambda _: None)
    assert vendors.keys_used == ["AKIDEXAMPLE"]


@pytest.mark.parametrize("code", ["UnrecognizedClientException", "InvalidSignatureException"])
def test_keys_that_were_renewed_on_disk_are_read_again(aws, tmp_path, code):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        aws.delenv(name)
    valid_key, keys_used = "AKIDOLD", []

    def write(key):
        (tmp_path / "credentials").write_text(f"[default]\naws_access_key_id = {key}\naws_secret_access_key = s\n")

    def vendor(request):
        keys_used.append(key_of(request))
        if key_of(request) == valid_key:
            return reply(json=ANSWER)
        return reply(json={"message": "no such key"}, status=403, headers={"x-amzn-errortype": code})

    with serve(vendor) as server:
        write("AKIDOLD")
        provider = Bedrock("m", region="us-east-1", endpoint_url=server.url, max_retries=0)
        assert provider.blocking.chat("Hi").text
        valid_key = "AKIDNEW"
        write("AKIDNEW")
        assert provider.blocking.chat("Hi").text
        valid_key = "AKIDLATER"
        with pytest.raises(AuthenticationError, match="renew or correct them"):
            provider.blocking.chat("Hi")
    assert keys_used == ["AKIDOLD", "AKIDOLD", "AKIDNEW", "AKIDNEW"]


def test_a_session_of_the_users_is_used_and_renewed(aws):
    vendors = Vendors(1)
    vendors.expired = {"AKIDold"}
    new_keys = []

    def refresh():
        new_keys.append("AKIDnew")
        return {"access_key": "AKIDnew", "secret_key": "s", "token": "t", "expiry_time": until(3600)}

    session = boto3.Session(region_name="us-east-1")
    session._session._credentials = RefreshableCredentials(
        "AKIDold", "s", "t", datetime.now(UTC) + timedelta(hours=1), refresh, "of my own"
    )
    run(chat_ten_times, vendors, lambda _: None, session=session)
    assert new_keys == ["AKIDnew"]
    assert vendors.keys_used[-1] == "AKIDnew"


def test_keys_and_region_come_from_a_profile(aws, tmp_path):
    aws.delenv("AWS_ACCESS_KEY_ID")
    aws.delenv("AWS_SECRET_ACCESS_KEY")
    (tmp_path / "credentials").write_text("[work]\naws_access_key_id = AKIDwork\naws_secret_access_key = s\n")
    (tmp_path / "config").write_text("[profile work]\nregion = eu-west-3\n")
    vendors = Vendors(1)
    with serve(vendors) as server:
        Bedrock("m", profile_name="work", endpoint_url=server.url).blocking.chat("Hello")
        assert "/eu-west-3/bedrock/" in server.requests[0].headers["authorization"]
    assert vendors.keys_used == ["AKIDwork"]


def test_a_source_that_refuses_is_an_authentication_error_that_names_it(aws, source):
    vendors = Vendors(1)
    vendors.broken = True
    with serve(vendors) as server:
        source(server.url)
        provider = Bedrock("m", region="us-east-1", endpoint_url=server.url, max_retries=0)
        with pytest.raises((AuthenticationError, ConfigurationError), match="AWS credentials") as caught:
            provider.blocking.chat("Hello")
    assert not vendors.keys_used
    assert "\n" not in str(caught.value)


def test_threads_and_loops_share_one_load(source):
    vendors = Vendors(3600)
    with serve(vendors) as server:
        source(server.url)
        provider = Bedrock("m", region="us-east-1", endpoint_url=server.url)

        async def chat_once():
            await provider.chat("Hello")
            await provider.aclose()

        threads = [threading.Thread(target=lambda: asyncio.run(chat_once())) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert vendors.issued == 1
    assert len(vendors.keys_used) == 8


def test_a_pickled_provider_finds_its_credentials_again(aws):
    with serve(Vendors(1)) as server:
        provider = Bedrock("m", region="us-east-1", endpoint_url=server.url)
        provider.blocking.chat("Hello")
        again = pickle.loads(pickle.dumps(provider))
        assert again.blocking.chat("Hello").text == "Hi"
    with pytest.raises(ConfigurationError, match="can't travel in a pickle"):
        pickle.dumps(Bedrock("m", session=boto3.Session(region_name="us-east-1")))
