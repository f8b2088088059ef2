"""Credentials come from boto3's chain, off the loop, once for all; STS and instance metadata are on loopback."""

import asyncio
import pickle
import threading
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from botocore.credentials import RefreshableCredentials
from tako_bedrock import Bedrock
from tako_bedrock.credentials import THREAD, YOUNG, Account

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
    """Bedrock, STS and instance metadata in one server: credentials are numbered, and live for `lives` seconds each.

    While `gate` is shut, credentials are asked for but do not come.
    """

    def __init__(self, *lives):
        self.lives = list(lives)
        self.issued = 0
        self.asked = []
        self.expired = set()
        self.broken = False
        self.refused = 0
        self.gate, self.waiting = threading.Event(), threading.Event()
        self.gate.set()

    def __call__(self, request):
        if not request.path.startswith("/model/"):
            return self.issue(request)
        self.asked.append(key_of(request))
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
        key, life = f"AKID{self.issued}", self.lives.pop(0) if len(self.lives) > 1 else self.lives[0]
        if request.method == "GET":
            found = {"AccessKeyId": key, "SecretAccessKey": f"secret-of-{key}", "Token": f"token-of-{key}"}
            found |= {"Code": "Success", "Expiration": until(life)}
            return reply(json=found, delay=self.gate.is_set)
        text = STS.format(key=key, until=until(life))
        return reply(text, headers={"content-type": "text/xml"}, delay=self.gate.is_set)


@pytest.fixture(params=["sts", "imds"])
def source(request, aws, tmp_path):
    """Set the environment up for one of two sources, which `Vendors` plays."""
    aws.delenv("AWS_ACCESS_KEY_ID")
    aws.delenv("AWS_SECRET_ACCESS_KEY")

    def at(url):
        if request.param == "imds":
            aws.setenv("AWS_EC2_METADATA_DISABLED", "false")
            aws.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", url)
            aws.setenv("AWS_METADATA_SERVICE_TIMEOUT", str(int(HANG)))
            return
        (tmp_path / "token").write_text("web-identity")
        aws.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
        aws.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/r")
        aws.setenv("AWS_ENDPOINT_URL_STS", url)

    return at


class Clock:
    """Stands still unless a test says otherwise."""

    now = 0.0

    def __call__(self):
        return self.now


def run(scenario, vendors, source, clock=None, **options):
    with serve(vendors) as server:
        source(server.url)

        async def main():
            async with Bedrock("m", region="us-east-1", endpoint_url=server.url, max_retries=0, **options) as provider:
                if clock is not None:
                    place = {"region": "us-east-1", "profile_name": None, "endpoint_url": server.url, "session": None}
                    provider.account = Account(provider.id, **place, clock=clock)
                await scenario(provider)

        asyncio.run(main())


async def hundred(provider, count=100):
    return await asyncio.gather(*[provider.chat("Hello") for _ in range(count)])


async def some(provider):
    return await hundred(provider, 10)


async def landed():
    """Let the loop run until no credentials are being fetched."""
    while threads := [thread for thread in threading.enumerate() if thread.name == THREAD]:
        await asyncio.to_thread(threads[0].join, HANG)


def test_a_hundred_cold_calls_load_credentials_once_and_do_not_hold_the_loop_up(source):
    vendors = Vendors(3600)
    vendors.gate.clear()

    async def watched(provider):
        calls = asyncio.ensure_future(hundred(provider))
        assert await asyncio.to_thread(vendors.waiting.wait, HANG)
        assert not calls.done()
        vendors.gate.set()  # which only a loop that runs on can do
        await calls

    run(watched, vendors, source)
    assert vendors.issued == 1
    assert vendors.asked == ["AKID1"] * 100


async def end(provider):
    """Let the credentials end; the clock of botocore cannot be set, and it keeps ones of more than 15 minutes."""
    held = await provider.account.held()
    held.source._expiry_time = datetime.now(UTC) - timedelta(seconds=1)


def test_a_hundred_calls_refresh_ended_credentials_once(source):
    vendors = Vendors(600, 3600)

    async def scenario(provider):
        await provider.chat("Hello")
        await end(provider)
        await hundred(provider)

    run(scenario, vendors, source, Clock())
    assert vendors.issued == 2
    assert vendors.asked == ["AKID1"] + ["AKID2"] * 100


@pytest.mark.parametrize("source", ["sts"], indirect=True)  # botocore itself extends what metadata gives
def test_calls_go_on_with_valid_credentials_while_one_refresh_runs(source):
    vendors, clock = Vendors(600, 3600), Clock()

    async def scenario(provider):
        await some(provider)
        assert vendors.issued == 1
        clock.now += YOUNG
        vendors.gate.clear()
        await some(provider)
        assert set(vendors.asked) == {"AKID1"}
        vendors.gate.set()
        await landed()
        await provider.chat("Hello")

    run(scenario, vendors, source, clock)
    assert vendors.issued == 2
    assert vendors.asked[-1] == "AKID2"


@pytest.mark.parametrize("source", ["sts"], indirect=True)  # botocore itself extends what metadata gives
def test_a_refresh_that_fails_does_not_fail_calls_that_hold_valid_credentials(source):
    vendors, clock = Vendors(600), Clock()

    async def scenario(provider):
        await provider.chat("Hello")
        vendors.broken = True
        clock.now += YOUNG
        await some(provider)
        await landed()
        await some(provider)

    run(scenario, vendors, source, clock)
    assert vendors.refused == 1
    assert vendors.asked == ["AKID1"] * 21


@pytest.mark.parametrize("source", ["sts"], indirect=True)  # as above
def test_ended_credentials_that_cannot_be_refreshed_fail_a_hundred_calls_after_one_attempt(source):
    vendors = Vendors(600)

    async def scenario(provider):
        await provider.chat("Hello")
        await end(provider)
        vendors.broken = True
        calls = [provider.chat("Hello") for _ in range(100)]
        failed = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(failure) for failure in failed} == {AuthenticationError}

    run(scenario, vendors, source, Clock())
    assert vendors.refused == 1
    assert vendors.asked == ["AKID1"]


def test_expired_credentials_are_renewed_once_and_each_call_is_made_once_more(source):
    vendors = Vendors(3600)
    vendors.expired = {"AKID1"}
    run(hundred, vendors, source)
    assert vendors.issued == 2
    assert vendors.asked.count("AKID1") <= 100
    assert vendors.asked.count("AKID2") == 100


def test_credentials_that_stay_expired_are_an_authentication_error(source):
    vendors = Vendors(3600)
    vendors.expired = {"AKID1", "AKID2"}

    async def scenario(provider):
        with pytest.raises(AuthenticationError, match="security token has expired"):
            await provider.chat("Hello")

    run(scenario, vendors, source)
    assert vendors.asked == ["AKID1", "AKID2"]


def test_expired_keys_of_the_environment_are_named(aws):
    vendors = Vendors(1)
    vendors.expired = {"AKIDEXAMPLE"}

    async def scenario(provider):
        with pytest.raises(AuthenticationError, match=r"source 'env'; renew or correct them") as caught:
            await provider.chat("Hello")
        assert caught.value.code == "ExpiredTokenException"
        assert "\n" not in str(caught.value)

    run(scenario, vendors, lambda _: None)
    assert vendors.asked == ["AKIDEXAMPLE"]


@pytest.mark.parametrize("code", ["UnrecognizedClientException", "InvalidSignatureException"])
def test_keys_that_were_renewed_on_disk_are_read_again(aws, tmp_path, code):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        aws.delenv(name)
    good, asked = "AKIDOLD", []

    def write(key):
        (tmp_path / "credentials").write_text(f"[default]\naws_access_key_id = {key}\naws_secret_access_key = s\n")

    def vendor(request):
        asked.append(key_of(request))
        if key_of(request) == good:
            return reply(json=ANSWER)
        return reply(json={"message": "no such key"}, status=403, headers={"x-amzn-errortype": code})

    with serve(vendor) as server:
        write("AKIDOLD")
        provider = Bedrock("m", region="us-east-1", endpoint_url=server.url, max_retries=0)
        assert provider.blocking.chat("Hi").text
        good = "AKIDNEW"
        write("AKIDNEW")
        assert provider.blocking.chat("Hi").text
        good = "AKIDLATER"
        with pytest.raises(AuthenticationError, match="renew or correct them"):
            provider.blocking.chat("Hi")
    assert asked == ["AKIDOLD", "AKIDOLD", "AKIDNEW", "AKIDNEW"]


def test_a_session_of_ones_own_is_used_and_renewed(aws):
    vendors = Vendors(1)
    vendors.expired = {"AKIDold"}
    made = []

    def refresh():
        made.append("AKIDnew")
        return {"access_key": "AKIDnew", "secret_key": "s", "token": "t", "expiry_time": until(3600)}

    session = boto3.Session(region_name="us-east-1")
    session._session._credentials = RefreshableCredentials(
        "AKIDold", "s", "t", datetime.now(UTC) + timedelta(hours=1), refresh, "of my own"
    )
    run(some, vendors, lambda _: None, session=session)
    assert made == ["AKIDnew"]
    assert vendors.asked[-1] == "AKIDnew"


def test_a_profile_names_keys_and_region(aws, tmp_path):
    aws.delenv("AWS_ACCESS_KEY_ID")
    aws.delenv("AWS_SECRET_ACCESS_KEY")
    (tmp_path / "credentials").write_text("[work]\naws_access_key_id = AKIDwork\naws_secret_access_key = s\n")
    (tmp_path / "config").write_text("[profile work]\nregion = eu-west-3\n")
    vendors = Vendors(1)
    with serve(vendors) as server:
        Bedrock("m", profile_name="work", endpoint_url=server.url).blocking.chat("Hello")
        assert "/eu-west-3/bedrock/" in server.requests[0].headers["authorization"]
    assert vendors.asked == ["AKIDwork"]


def test_a_source_that_refuses_is_an_authentication_error_that_names_it(aws, source):
    vendors = Vendors(1)
    vendors.broken = True
    with serve(vendors) as server:
        source(server.url)
        provider = Bedrock("m", region="us-east-1", endpoint_url=server.url, max_retries=0)
        with pytest.raises((AuthenticationError, ConfigurationError), match="AWS credentials") as caught:
            provider.blocking.chat("Hello")
    assert not vendors.asked
    assert "\n" not in str(caught.value)


def test_threads_and_loops_share_one_load(source):
    vendors = Vendors(3600)
    with serve(vendors) as server:
        source(server.url)
        provider = Bedrock("m", region="us-east-1", endpoint_url=server.url)

        async def one():
            await provider.chat("Hello")
            await provider.aclose()

        threads = [threading.Thread(target=lambda: asyncio.run(one())) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert vendors.issued == 1
    assert len(vendors.asked) == 8


def test_a_pickled_provider_finds_its_credentials_again(aws):
    with serve(Vendors(1)) as server:
        provider = Bedrock("m", region="us-east-1", endpoint_url=server.url)
        provider.blocking.chat("Hello")
        again = pickle.loads(pickle.dumps(provider))
        assert again.blocking.chat("Hello").text == "Hi"
    with pytest.raises(ConfigurationError, match="can't travel in a pickle"):
        pickle.dumps(Bedrock("m", session=boto3.Session(region_name="us-east-1")))
