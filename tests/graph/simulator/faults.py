"""Switches that change how the simulator answers, and faults that strike requests."""

import asyncio
import json
import random
import re
from dataclasses import asdict, dataclass, field, fields

from .wire import Answer

POINTS = (
    "connect",
    "head",
    "early-status",
    "body",
    "before-change",
    "status",
    "delay",
    "after-change",
    "status-after-change",
    "answer-head",
    "answer-body",
)


@dataclass
class Switches:
    """Each is a way in which the services differ among tenants, over time, or from what they document."""

    # fragments that are no multiple of 327,680: "reject", or "accept" as is reported of SharePoint
    fragment_rule: str = "reject"
    # nextExpectedRanges of drive upload sessions: "closed" ("a-b", as SharePoint) or "open" ("a-", as documented)
    ranges_form: str = "closed"
    # the answer to a PUT at a pre-authenticated URL that carries Authorization: "401" or "ignore"
    upload_authorization: str = "401"
    # lower-case hexadecimals and encoded unreserved characters in tempauth, which clients that normalise spoil
    tempauth_form: str = "plain"
    # seconds until pre-authenticated download URLs, and upload sessions, expire
    download_seconds: float = 3600
    session_seconds: float = 3600
    # "honour", or "ignore": the download URL answers 200 with everything
    download_range: str = "honour"
    # an empty file has the hash of nothing, or "absent": `hashes: {}`
    empty_hash: str = "present"
    # .docx, .xlsx and .pptx that are ZIP archives are rewritten after they are stored: "off", "at-once" or seconds
    office_mutation: str = "off"
    # the drive's quota in bytes
    quota: int = 1 << 40
    page: int = 200
    # seconds until a copy is done
    copy_seconds: float = 0
    gzip: bool = True
    json_framing: str = "chunked"
    # SNI must be the Host
    strict_sni: bool = True
    # delta of business drives leaves cTag away, as documented
    delta_ctag: bool = False
    # and the path of the parent, without which onedrive 2.4.23 takes each change for the drive's root
    delta_path: bool = False
    # a change of fileSystemInfo makes a version, as OneDrive for Business does
    metadata_versions: bool = True
    # the smallest attachment that may go by a session; the documents say from 3 MB on
    attachment_session_minimum: int = 3_000_000
    # Teams and Outlook: unknown tags and attributes are dropped from HTML
    sanitise: bool = True
    # hostedContents that are no image are refused
    hosted_images_only: bool = True

    def change(self, wanted):
        known = {entry.name: entry.type for entry in fields(self)}
        for name, value in wanted.items():
            if name not in known:
                raise ValueError(f"no such switch: {name}; there are {', '.join(known)}")
            kind = type(getattr(self, name))
            if kind is bool and isinstance(value, str):
                value = value in ("true", "on", "1")
            setattr(self, name, kind(value))

    def shown(self):
        return asdict(self)


@dataclass
class Fault:
    """Strikes requests that match, after `skip` of them, `times` times (-1: always)."""

    at: str
    method: str = ""
    host: str = ""
    # a regular expression that the target must contain
    target: str = ""
    skip: int = 0
    times: int = 1
    # of a body; below 0: from its end
    bytes: int = 0
    seconds: float = 0
    status: int = 503
    retry_after: str = ""
    headers: dict = field(default_factory=dict)
    # "reset", or "close" for an orderly end of the stream; "hold" halts until the tests let go, then all goes on, or with
    # "hold-reset" is reset
    how: str = "reset"

    def __post_init__(self):
        if self.at not in POINTS:
            raise ValueError(f"no such point: {self.at}; there are {', '.join(POINTS)}")
        re.compile(self.target)
        self.holds, self.let_go = False, asyncio.Event()

    async def hold(self):
        self.holds = True
        await self.let_go.wait()
        self.holds = False

    def matches(self, request):
        return (
            (not self.method or self.method == request.method)
            and (not self.host or self.host == request.host)
            and (not self.target or re.search(self.target, request.target) is not None)
        )

    def take(self):
        if self.skip:
            self.skip -= 1
            return False
        if self.times == 0:
            return False
        self.times -= self.times > 0
        return True

    def answer(self):
        code = {429: "activityLimitReached", 503: "serviceNotAvailable", 507: "quotaLimitReached"}
        body = {"error": {"code": code.get(self.status, "generalException"), "message": "A fault of the simulator."}}
        headers = [("Content-Type", "application/json"), *self.headers.items()]
        if self.retry_after:
            headers.append(("Retry-After", self.retry_after))
        return Answer(self.status, headers, json.dumps(body).encode())


class Faults:
    """The faults that were ordered, and those that chance brings when a seed is set."""

    def __init__(self):
        self.ordered = []
        self.chance = None

    def order(self, wanted):
        self.ordered += [Fault(**one) for one in wanted]

    def seed(self, seed, rate, points, most=64):
        """Strikes each request with probability `rate` at one of the points, `most` times in all."""
        unknown = set(points) - set(POINTS)
        if unknown:
            raise ValueError(f"no such points: {sorted(unknown)}")
        self.chance = {"random": random.Random(seed), "rate": rate, "points": list(points), "left": most}

    def held(self):
        """The targets of the faults that halt a request now."""
        return [fault.target for fault in self.ordered if fault.holds]

    def clear(self):
        for fault in self.ordered:
            fault.let_go.set()
        self.ordered, self.chance = [], None

    def on_connect(self):
        for fault in self.ordered:
            if fault.at == "connect" and fault.take():
                return fault
        return None

    def on_request(self, request):
        for fault in self.ordered:
            if fault.at != "connect" and fault.matches(request) and fault.take():
                return fault
        chance = self.chance
        if chance and chance["left"] and chance["random"].random() < chance["rate"]:
            chance["left"] -= 1
            dice = chance["random"]
            return Fault(dice.choice(chance["points"]), bytes=dice.randrange(1, 100_000), seconds=dice.random(), status=dice.choice([429, 500, 502, 503, 504]), retry_after="1")
        return None
