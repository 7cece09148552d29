from __future__ import annotations

import gc
import shutil
import threading
import time
import tracemalloc
from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from companyos.core.access import Caller
from companyos.core.clock import ManualClock
from companyos.core.settings import Settings
from companyos.identity import Attributes, DirectoryCache, Identity, attributes_of
from companyos.identity.directory import EMPTY, Directory
from companyos.identity.document import Document, SubjectEntry
from companyos.identity.errors import AttributeNotFound
from companyos.ledger import Journal, open_journal

NAMES = ("pat", "kim", "ada")
ROOT = Caller(subject="user:root", roles=frozenset({"admin"}))


def compare(journal: Journal, directory: Directory) -> None:
    """Prove that the directory says of everybody, everywhere, what the database says."""
    now = journal.clock.now()
    with journal.read() as connection:
        for name in NAMES:
            member = directory.find(f"user:{name}")
            if member is None:
                continue
            assert directory.find(member.id) is member
            for workspace in (None, "emea", "apac"):
                said = attributes_of(connection, member.id, workspace, now)
                assert directory.attributes_of(member.id, workspace, now) == said
                assert directory.attributes_of(member.actor, workspace, now) == said


def test_it_follows_every_kind_of_change(journal: Journal, admin: Caller, clock: ManualClock) -> None:
    """After each change one refresh shows it; without a change it is the same object. On both databases."""
    identity, cache = Identity(journal), DirectoryCache(journal)
    pat = identity.create_subject(admin, "pat", org_id="acme", workspace_id="emea")
    now = clock.now()
    seen: list[tuple[Any, ...]] = []

    def look() -> tuple[Any, ...]:
        directory = cache.refresh()
        assert cache.refresh() is directory
        found = directory.attributes_of(pat.id, None, now)
        compare(journal, directory)
        seen.append((found.values, sorted(directory.roles_of(pat.id, None, now))))
        return seen[-1]

    assert look() == ({}, [])
    identity.set_attribute(admin, "subject", pat.id, "clearance", "high")
    assert look() == ({"clearance": "high"}, [])
    identity.set_attribute(admin, "org", "acme", "country", ["DE", None, 1, True])
    assert look()[0] == {"clearance": "high", "country": ["DE", None, 1, True]}
    identity.set_attribute(admin, "workspace", "emea", "country", 1.5)
    assert look()[0] == {"clearance": "high", "country": 1.5}
    identity.remove_attribute(admin, "workspace", "emea", "country")
    identity.remove_attribute(admin, "subject", pat.id, "clearance")
    assert look()[0] == {"country": ["DE", None, 1, True]}
    identity.create_role(admin, "buyer")
    identity.bind_role(admin, pat.id, "buyer", workspace_id="emea")
    identity.bind_role(admin, pat.id, "viewer")
    assert look()[1] == ["buyer", "viewer"]
    identity.unbind_role(admin, pat.id, "viewer")
    assert look()[1] == ["buyer"]
    identity.suspend(admin, pat.id)
    assert look() == ({}, [])
    identity.change_subject(admin, pat.id, status="active")
    identity.import_document(admin, Document(subjects=[SubjectEntry(name="pat", org_id=None, roles=[])]))
    assert look() == ({}, [])


def test_what_expires_ends_without_a_refresh(
    identity: Identity, quick: Journal, admin: Caller, clock: ManualClock
) -> None:
    """Time is asked for in each question, so an old directory gives nothing that is over."""
    pat = identity.create_subject(admin, "pat", org_id="acme")
    identity.set_attribute(admin, "org", "acme", "clearance", "low")
    identity.set_attribute(admin, "subject", pat.id, "clearance", "high", ttl=60)
    identity.bind_role(admin, pat.id, "viewer", expires_at=clock.now() + timedelta(seconds=60))
    directory = DirectoryCache(quick).refresh()
    assert directory.attributes_of(pat.id, None, clock.now()).values == {"clearance": "high"}
    clock.advance(60)
    assert directory.attributes_of(pat.id, None, clock.now()) == Attributes({}, frozenset({"clearance"}))
    assert directory.roles_of(pat.id, None, clock.now()) == frozenset()


def test_a_directory_never_changes(identity: Identity, quick: Journal, admin: Caller, clock: ManualClock) -> None:
    """Who decides with an old one is not disturbed, and nothing that is handed out leads into it."""
    pat = identity.create_subject(admin, "pat")
    identity.set_attribute(admin, "subject", pat.id, "groups", ["a"])
    cache = DirectoryCache(quick)
    old = cache.refresh()
    found = old.attributes_of(pat.id, None, clock.now())
    found.values["groups"].append("b")
    found.values["clearance"] = "high"
    identity.create_subject(admin, "kim")
    new = cache.refresh()
    assert old.attributes_of(pat.id, None, clock.now()).values == {"groups": ["a"]}
    assert new.attributes_of(pat.id, None, clock.now()).values == {"groups": ["a"]}
    assert (len(EMPTY), len(old), len(new)) == (0, 1, 2)
    assert old.find("user:kim") is None


def test_of_strangers_nothing_is_known(quick: Journal, clock: ManualClock) -> None:
    """Neither of an unknown id nor of a name, in an empty directory or not."""
    directory = DirectoryCache(quick).refresh()
    for named in ("", "user:pat", "x"):
        assert directory.find(named) is None
        assert directory.attributes_of(named, "emea", clock.now()) == Attributes({})
        assert directory.roles_of(named, "emea", clock.now()) == frozenset()


def test_equal_things_are_kept_apart_where_they_differ(identity: Identity, quick: Journal, admin: Caller) -> None:
    """Attributes that are called like values, and values that Python takes for equal, do not get mixed up."""
    identity.create_subject(admin, "pat")
    for name, value in (("json", True), ("true", 1), ("z", ["json", "true"]), ("null", 0), ("n", False)):
        identity.set_attribute(admin, "subject", "user:pat", name, value)
    found = DirectoryCache(quick).refresh().attributes_of("user:pat", None, quick.clock.now()).values
    assert repr(sorted(found.items())) == repr(
        [("json", True), ("n", False), ("null", 0), ("true", 1), ("z", ["json", "true"])]
    )


places = st.sampled_from(("org:acme", "workspace:emea", "workspace:apac"))
steps = st.one_of(
    st.tuples(st.just("set"), st.sampled_from(NAMES), st.sampled_from("ab"), st.none() | st.integers(1, 30)),
    st.tuples(st.just("remove"), st.sampled_from(NAMES), st.sampled_from("ab"), st.none()),
    st.tuples(st.just("place"), places, st.sampled_from("ab"), st.none() | st.integers(1, 30)),
    st.tuples(st.just("bind"), st.sampled_from(NAMES), st.sampled_from(("emea", "apac")), st.integers(1, 30)),
    st.tuples(st.just("status"), st.sampled_from(NAMES), st.sampled_from(("active", "suspended")), st.none()),
    st.tuples(st.just("wait"), st.just(""), st.just(""), st.integers(1, 20)),
)


def happen(
    identity: Identity, clock: ManualClock, what: str, whom: str, which: str, ttl: int | None, number: int
) -> None:
    """Let one step of a story happen."""
    if what == "set":
        identity.set_attribute(ROOT, "subject", f"user:{whom}", which, number, ttl=ttl)
    elif what == "remove":
        with suppress(AttributeNotFound):
            identity.remove_attribute(ROOT, "subject", f"user:{whom}", which)
    elif what == "place":
        scope, _, holder = whom.partition(":")
        identity.set_attribute(ROOT, scope, holder, which, number, ttl=ttl)
    elif what == "bind":
        end = clock.now() + timedelta(seconds=ttl or 1)
        identity.bind_role(ROOT, f"user:{whom}", "viewer", workspace_id=which, expires_at=end)
    elif what == "status":
        identity.change_subject(ROOT, f"user:{whom}", status="active" if which == "active" else "suspended")
    else:
        clock.advance(ttl or 1)


@settings(max_examples=12)
@given(st.lists(steps, min_size=1, max_size=12))
def test_it_agrees_with_the_database_after_any_story(
    migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory, many: list[tuple[str, str, str, int | None]]
) -> None:
    """Whatever happened, an incremental refresh, a fresh load and the database say the same of everybody."""
    home, clock = Settings(home=str(tmp_path_factory.mktemp("story"))), ManualClock()
    shutil.copy(migrated_sqlite, home.folder.database_file)
    with closing(open_journal(home, clock)) as journal:
        identity, cache = Identity(journal), DirectoryCache(journal)
        for name in NAMES:
            identity.create_subject(ROOT, name, org_id="acme", workspace_id="emea" if name == "pat" else None)
        for number, (what, whom, which, ttl) in enumerate(many):
            happen(identity, clock, what, whom, which, ttl, number)
            compare(journal, cache.refresh())
        now, fresh = clock.now(), DirectoryCache(journal).refresh()
        for name in NAMES:
            assert fresh.find(f"user:{name}") == cache.present.find(f"user:{name}")
            assert fresh.roles_of(f"user:{name}", "emea", now) == cache.present.roles_of(f"user:{name}", "emea", now)


def test_readers_see_whole_directories(identity: Identity, quick: Journal, admin: Caller, clock: ManualClock) -> None:
    """While one thread refreshes, others find each subject with both attributes or with none."""
    pat = identity.create_subject(admin, "pat")
    cache, done = DirectoryCache(quick), threading.Event()
    faults: list[dict[str, Any]] = []

    def read() -> None:
        while not done.is_set():
            values = cache.present.attributes_of(pat.id, None, clock.now()).values
            if values and values["a"] != values["b"]:
                faults.append(values)
            time.sleep(0)  # Whoever spins would keep the interpreter from the one that refreshes.

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number in range(30):
        entry = SubjectEntry(name="pat", attributes={"a": number, "b": number})
        identity.import_document(admin, Document(subjects=[entry]))
        cache.refresh()
    done.set()
    for reader in readers:
        reader.join()
    assert faults == []
    assert cache.present.attributes_of(pat.id, None, clock.now()).values == {"a": 29, "b": 29}


def test_it_is_small(identity: Identity, quick: Journal, admin: Caller) -> None:
    """A thousand subjects with ten attributes each take, loading included, a tenth of what ten thousand may."""
    said: dict[str, Any] = {f"attribute_{number}": f"value {number}" for number in range(8)}
    entries = [
        SubjectEntry(name=f"s{number}", attributes={**said, "badge": f"b{number}", "level": number})
        for number in range(1000)
    ]
    identity.import_document(admin, Document(subjects=entries))
    cache = DirectoryCache(quick)
    gc.collect()
    tracemalloc.start()
    try:
        assert len(cache.refresh()) == 1000
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 10_000_000
