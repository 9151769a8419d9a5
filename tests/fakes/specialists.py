"""`Specialists` in memory."""

from nightdesk.domain.specialist import BrokenSpecialist, Specialist, SpecialistSet


class FakeSpecialists:
    """Holds the specialists that a test names; each has a name and a prompt made from its id."""

    def __init__(self, *ids: str) -> None:
        self.set = SpecialistSet({i: specialist(i) for i in ids})

    def load(self) -> SpecialistSet:
        return self.set

    def add(self, added: Specialist) -> None:
        self.set = SpecialistSet({**self.set.by_id, added.id: added}, self.set.broken)

    def add_broken(self, file: str, reason: str, specialist_id: str) -> None:
        broken = BrokenSpecialist(file, reason, specialist_id)
        self.set = SpecialistSet(self.set.by_id, (*self.set.broken, broken))


def specialist(specialist_id: str) -> Specialist:
    return Specialist(
        id=specialist_id,
        name=specialist_id.title(),
        description=f"What {specialist_id} does",
        prompt=f"You are {specialist_id}.",
    )
