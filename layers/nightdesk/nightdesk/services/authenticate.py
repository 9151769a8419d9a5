"""Who is calling: one request to the store for a well-formed key, none for anything else."""

from nightdesk.domain.access_ports import AccessStore
from nightdesk.domain.api_key import ApiKey, credential_from
from nightdesk.domain.errors import NotAuthenticatedError
from nightdesk.domain.ports import Clock

#: Far longer than a key; what is longer is not looked at.
HEADER_MAX = 200


def authenticate(authorization: str | None, *, access: AccessStore, clock: Clock) -> ApiKey:
    """Find the key in an Authorization header and count its use.

    Raises:
        NotAuthenticatedError: no key, a malformed one, an unknown or a revoked one. The last two
            answer alike, so that nobody can find out which ids exist.
    """
    if not authorization:
        raise NotAuthenticatedError(
            "An API key is required: Authorization: Bearer nd_<id>_<secret>"
        )
    scheme, _, text = authorization[:HEADER_MAX].partition(" ")
    credential = credential_from(text.strip()) if scheme.lower() == "bearer" else None
    if credential is None:
        raise NotAuthenticatedError("The Authorization header must be: Bearer nd_<id>_<secret>")
    key = access.use(credential, now=clock.now())
    if key is None:
        raise NotAuthenticatedError("The API key is unknown or revoked")
    return key
