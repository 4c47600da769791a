"""The same steps directly and through the gateway. Stores deviate by themselves: the gateway must not be worse."""

from botocore.exceptions import ClientError


# What was seen in this run; printed at its end.
DEVIATIONS = []


def deviates(store, *words):
    """The store does otherwise than S3, without the gateway."""
    said = " ".join(map(str, [store.name, *words]))
    if said not in DEVIATIONS:
        DEVIATIONS.append(said)


def outcome(steps, *arguments):
    """What the steps give, or S3's code and the status of the error that they end with."""
    try:
        return steps(*arguments)
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]


def code_of(steps, *arguments, **settings):
    """The code of the error that the call must end with."""
    try:
        answer = steps(*arguments, **settings)
    except ClientError as error:
        return error.response["Error"]["Code"]
    raise AssertionError(f"no error, but {answer}")


def status_of(steps, *arguments, **settings):
    """The status of the error that the call must end with; answers to HEAD have no code."""
    try:
        answer = steps(*arguments, **settings)
    except ClientError as error:
        return error.response["ResponseMetadata"]["HTTPStatusCode"]
    raise AssertionError(f"no error, but {answer}")


def compare(direct, through, steps, expected):
    """`steps(way, bucket)` through the gateway gives what S3 gives; or what the store gives without the gateway."""
    found = outcome(steps, through, through.bucket())
    if found == expected:
        return
    alone = outcome(steps, direct, direct.bucket())
    assert found == alone, f"through the gateway {found}, directly {alone}, S3 {expected}"
    deviates(direct.store, f"gives {alone} by itself where S3 gives {expected}")
