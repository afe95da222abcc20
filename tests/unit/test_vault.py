"""The vault: sealing, purposes, erasure."""

import copy
import pickle
import weakref
from collections.abc import Callable, Mapping
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import vault as vault_module
from shared.errors import KeyMissing, PurposeNotAllowed, SealBroken
from shared.testing.environment import FakeEnvironment
from shared.vault import Erased, ErasedType, Json, MemoryKeyStore, Vault

WRAPPING = {"person": b"p" * 32, "form": b"f" * 32, "contact": b"c" * 32}


class CountingStore(MemoryKeyStore):
    """Counts how often keys were read."""

    reads = 0

    async def get(self, owner_id: str) -> Mapping[str, bytes] | None:
        """Count and read."""
        self.reads += 1
        return await super().get(owner_id)


@pytest.fixture
def environment() -> FakeEnvironment:
    """A clock moved by hand."""
    return FakeEnvironment()


@pytest.fixture
def store() -> CountingStore:
    """The place of the wrapped keys."""
    return CountingStore()


@pytest.fixture
def vault(store: CountingStore, environment: FakeEnvironment) -> Vault:
    """The vault of a service that may open everything."""
    return Vault(store, WRAPPING, environment)


async def test_what_was_sealed_opens_again(vault: Vault) -> None:
    """A value comes back as it was, through another opening of the same owner's keys."""
    value: Json = {"name": "Lea Müster", "ahv": "756.9217.0769.85", "children": [1, None, True]}
    sealed = (await vault.create("d1", ["person"])).seal("person", "applicant", value)
    assert sealed.startswith("sealed:v1:person:")
    assert "Lea" not in sealed
    assert (await vault.open("d1")).unseal("applicant", sealed) == value


async def test_the_same_value_is_never_sealed_to_the_same_text(vault: Vault) -> None:
    """Equal values cannot be recognised."""
    keys = await vault.create("d1", ["person"])
    assert keys.seal("person", "f", "x") != keys.seal("person", "f", "x")


async def test_a_seal_holds_for_its_owner_purpose_and_field_only(vault: Vault) -> None:
    """Moving a sealed value to another field, owner or purpose, or changing a character, is noticed."""
    keys, others = await vault.create("d1", WRAPPING), await vault.create("d2", WRAPPING)
    sealed = keys.seal("person", "name", "Lea")
    moved = sealed.replace(":person:", ":form:")
    changed = sealed[:-2] + ("AA" if not sealed.endswith("AA") else "BB")
    for keyring, field, text in [
        (keys, "email", sealed),
        (others, "name", sealed),
        (keys, "name", moved),
        (keys, "name", changed),
    ]:
        with pytest.raises(SealBroken):
            keyring.unseal(field, text)


@pytest.mark.parametrize(
    "text", ["", "Lea", "sealed:v1:person:", "sealed:v1:person:***", "sealed:v2:person:AAAA", "a:b"]
)
async def test_nonsense_is_a_broken_seal(vault: Vault, text: str) -> None:
    """Whatever is not a sealed value is one kind of error, and its message does not repeat the text."""
    keys = await vault.create("d1", WRAPPING)
    with pytest.raises(SealBroken) as caught:
        keys.unseal("name", text)
    assert not text or text not in str(caught.value)


@given(text=st.text(max_size=60))
async def test_no_text_makes_anything_but_a_broken_seal(text: str) -> None:
    """Hostile input to unseal has one outcome."""
    keys = await Vault(MemoryKeyStore(), WRAPPING, FakeEnvironment()).create("d1", WRAPPING)
    with pytest.raises((SealBroken, PurposeNotAllowed)):
        keys.unseal("name", "sealed:v1:" + text)


async def test_a_service_cannot_open_purposes_it_was_not_given(
    store: CountingStore, environment: FakeEnvironment
) -> None:
    """Notifications holds the wrapping key of `contact` alone: all else is refused, also after an erasure."""
    intake = Vault(store, WRAPPING, environment)
    sealed = (await intake.create("d1", WRAPPING)).seal("person", "name", "Lea")
    notifications = Vault(store, {"contact": WRAPPING["contact"]}, environment)
    keys = await notifications.open("d1")
    assert keys.unseal("email", keys.seal("contact", "email", "lea@example.ch")) == "lea@example.ch"
    attempts: list[Callable[[], object]] = [
        lambda: keys.unseal("name", sealed),
        lambda: keys.seal("person", "name", "Lea"),
        lambda: keys.unseal_bytes("pdf", b"sealed:v1:person:" + bytes(40)),
    ]
    for refused in attempts:
        with pytest.raises(PurposeNotAllowed):
            refused()
    with pytest.raises(PurposeNotAllowed):
        await notifications.create("d2", ["person"])
    await intake.erase("d1")
    with pytest.raises(PurposeNotAllowed):
        (await Vault(store, {"contact": WRAPPING["contact"]}, environment).open("d1")).unseal("name", sealed)


async def test_another_wrapping_key_opens_nothing(store: CountingStore, environment: FakeEnvironment) -> None:
    """The key store alone, without the right wrapping key, is worthless."""
    await Vault(store, WRAPPING, environment).create("d1", ["person"])
    with pytest.raises(SealBroken):
        await Vault(store, {"person": b"x" * 32}, environment).open("d1")


async def test_creating_again_keeps_the_first_keys(vault: Vault) -> None:
    """A repeated create must not orphan what was sealed."""
    sealed = (await vault.create("d1", ["person"])).seal("person", "name", "Lea")
    again = await vault.create("d1", ["person"])
    assert again.unseal("name", sealed) == "Lea"


async def test_erasing_erases_everywhere(vault: Vault) -> None:
    """After erase() every sealed value opens to Erased, nothing more can be sealed, and the owner stays erased."""
    keys = await vault.create("d1", ["person"])
    sealed, document = keys.seal("person", "name", "Lea"), keys.seal_bytes("person", "pdf", b"%PDF")
    await vault.open("d1")
    await vault.erase("d1")
    for keyring in (await vault.open("d1"), await vault.create("d1", ["person"])):
        assert keyring.unseal("name", sealed) is Erased
        assert keyring.unseal_bytes("pdf", document) is Erased
        with pytest.raises(KeyMissing):
            keyring.seal("person", "name", "Lea")


async def test_another_process_forgets_an_erased_owner_within_30_seconds(
    store: CountingStore, environment: FakeEnvironment
) -> None:
    """The cache of a process that did not do the erasing lives 30 seconds by the environment's clock, not longer."""
    here, there = Vault(store, WRAPPING, environment), Vault(store, WRAPPING, environment)
    sealed = (await here.create("d1", ["person"])).seal("person", "name", "Lea")
    assert (await there.open("d1")).unseal("name", sealed) == "Lea"
    await here.erase("d1")
    environment.advance(timedelta(seconds=29))
    assert (await there.open("d1")).unseal("name", sealed) == "Lea"
    environment.advance(timedelta(seconds=1))
    assert (await there.open("d1")).unseal("name", sealed) is Erased


async def test_keys_are_cached_and_the_cache_is_bounded(
    store: CountingStore, environment: FakeEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opening the same owner again reads nothing; the least recently used one is dropped."""
    monkeypatch.setattr(vault_module, "CACHE_SIZE", 2)
    vault = Vault(store, WRAPPING, environment)
    for owner in ("a", "b", "c"):
        await vault.create(owner, ["form"])
    for owner in ("a", "b", "a", "c"):
        await vault.open(owner)
    assert store.reads == 3
    await vault.open("a")
    assert store.reads == 3
    await vault.open("b")
    assert store.reads == 4


async def test_keys_that_may_no_longer_be_used_are_not_kept_in_memory(
    vault: Vault, environment: FakeEnvironment
) -> None:
    """A keyring is let go when others are opened after its 30 seconds, not only when the cache is full."""
    await vault.create("a", ["form"])
    await vault.create("b", ["form"])
    opened = weakref.ref(await vault.open("a"))
    environment.advance(timedelta(seconds=30))
    assert opened() is not None
    await vault.open("b")
    assert opened() is None


async def test_an_owner_unknown_now_may_be_known_a_moment_later(vault: Vault) -> None:
    """Not having keys is not cached: the event may overtake the key."""
    await vault.open("d1")
    sealed = (await vault.create("d1", ["form"])).seal("form", "f", 1)
    assert (await vault.open("d1")).unseal("f", sealed) == 1


async def test_documents_are_sealed_as_bytes(vault: Vault) -> None:
    """Documents come back byte for byte, are bound to their field, and a JSON seal is not a document seal."""
    keys = await vault.create("d1", ["form"])
    content = b"%PDF-1.7\x00:\xff" * 100
    sealed = keys.seal_bytes("form", "certificate", content)
    assert keys.unseal_bytes("certificate", sealed) == content
    assert len(sealed) < len(content) + 64
    for field, data in [
        ("other", sealed),
        ("certificate", sealed[:-1]),
        ("certificate", b""),
        ("certificate", b"%PDF"),
    ]:
        with pytest.raises(SealBroken):
            keys.unseal_bytes(field, data)


async def test_keys_do_not_show(vault: Vault) -> None:
    """repr() of a keyring names the owner and nothing else."""
    assert repr(await vault.create("d1", ["form"])) == "Keyring(owner_id='d1')"


def test_erased_is_one_falsy_value() -> None:
    """Handlers ask `value is Erased`; copies and pickles are the same value, and no other value equals it."""
    assert not Erased
    assert repr(Erased) == str(Erased) == "Erased"
    assert copy.deepcopy(Erased) is Erased
    assert pickle.loads(pickle.dumps(Erased)) is Erased  # noqa: S301 - our own bytes
    assert list(ErasedType) == [Erased]


async def test_a_wrapping_key_is_rotated_while_roles_run(store: CountingStore, environment: FakeEnvironment) -> None:
    """With both keys old and new values open in every phase; after rewrapping the old key is needed by nobody."""
    old, new = {"person": b"o" * 32}, {"person": b"n" * 32}
    sealed = (await Vault(store, old, environment).create("d1", ["person"])).seal("person", "name", "Muster")
    prepared, switched = Vault(store, old, environment, new), Vault(store, new, environment, old)
    later = (await switched.create("d2", ["person"])).seal("person", "name", "Keller")
    for vault in (prepared, switched):
        assert (await vault.open("d1")).unseal("name", sealed) == "Muster"
        assert (await vault.open("d2")).unseal("name", later) == "Keller"
    assert [await switched.rewrap(owner, store) for owner in await store.owners()] == [1, 0]
    assert [await switched.rewrap(owner, store) for owner in await store.owners()] == [0, 0]
    alone = Vault(store, new, environment)
    assert (await alone.open("d1")).unseal("name", sealed) == "Muster"


async def test_rewrapping_brings_no_erased_key_back(store: CountingStore, environment: FakeEnvironment) -> None:
    """An erasure between reading and storing wins."""
    old, new = {"person": b"o" * 32}, {"person": b"n" * 32}
    await Vault(store, old, environment).create("d1", ["person"])
    before = dict(await store.get("d1") or {})["person"]
    await store.delete("d1")
    assert not await store.replace("d1", "person", before, b"anew")
    assert await Vault(store, new, environment, old).rewrap("d1", store) == 0


async def test_a_lost_wrapping_key_breaks_old_values_and_no_new_ones(
    store: CountingStore, environment: FakeEnvironment
) -> None:
    """Whoever has a new key alone can open nothing old, is told so, and can go on with new owners."""
    await Vault(store, {"person": b"o" * 32}, environment).create("d1", ["person"])
    vault = Vault(store, {"person": b"n" * 32}, environment)
    with pytest.raises(SealBroken):
        await vault.open("d1")
    keyring = await vault.create("d2", ["person"])
    assert keyring.unseal("name", keyring.seal("person", "name", "Keller")) == "Keller"
    await vault.erase("d1")
    assert (await vault.open("d1")).unseal("name", keyring.seal("person", "name", "x")) is Erased


async def test_a_lost_vault_is_an_erasure_of_everybody(store: CountingStore, environment: FakeEnvironment) -> None:
    """Without the key store values open to `Erased`, as after an erasure, which every handler accepts."""
    sealed = (await Vault(store, WRAPPING, environment).create("d1", ["person"])).seal("person", "name", "Muster")
    assert (await Vault(MemoryKeyStore(), WRAPPING, environment).open("d1")).unseal("name", sealed) is Erased
