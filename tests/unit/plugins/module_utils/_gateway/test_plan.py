# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026 The gonka.devshard authors

"""What would be done to a gateway, and what is refused before anything is written."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.gonka.devshard.plugins.module_utils._gateway.beyond import Beyond
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.plan import make
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.plan_model import (
    RECORDED,
    SETTING,
    SIBLING,
    Available,
    Folder,
    GatewayPlan,
    GatewaySeen,
    GatewayWish,
    Own,
    Use,
)
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.profiles import profile
from ansible_collections.gonka.devshard.plugins.module_utils._gateway.record import DeployRecord
from ansible_collections.gonka.devshard.plugins.module_utils._host.docker import Container

REPOSITORY = "registry.example.org/gateway"
TAG = f"{REPOSITORY}:1.0"
OTHER_TAG = f"{REPOSITORY}:1.1"
DIGEST = f"{REPOSITORY}@sha256:" + "ab" * 32
OTHER_DIGEST = f"{REPOSITORY}@sha256:" + "cd" * 32
DIR = "/srv/gonka/devshard-gateway"
OLD_KEY = "sk-old-0123456789abcdef"
NEW_KEY = "sk-new-0123456789abcdef"


def folder(path: str, number: int, says: str, *, database: bool = True) -> Folder:
    return Folder(path=path, says=says, identity=(1, number), database=database)


DEFAULT = folder(f"{DIR}/.devshardctl", 1, "which the guide names", database=False)
DATA = folder("/data/gw", 7, "which the container has")
CONTAINER = Container(
    id="22" * 32,
    exit_code=0,
    out_of_memory=False,
    name="gw",
    image=TAG,
    image_id="sha256:" + "11" * 32,
    digests=(DIGEST,),
    state="running",
    health="healthy",
    health_command=(),
    restart_count=0,
    pid=4321,
    started_at="",
    restart_policy="unless-stopped",
    environment={"DEVSHARD_API_KEYS": OLD_KEY},
    mounts={"/root/.devshardctl": "/data/gw"},
    ports={"8080/tcp": ("127.0.0.1:18080",)},
    labels={"com.docker.compose.project": "prod", "com.docker.compose.service": "gw"},
)
OWN = Own(container=CONTAINER, inside="/root/.devshardctl", storage=DATA)
SEEN = GatewaySeen(
    own=OWN, folders=(DEFAULT,), default=DEFAULT, files=(f"{DIR}/x.env",), answers=True
)
WISH = GatewayWish(
    deploy_dir=DIR,
    container="gw",
    image=TAG,
    port=18080,
    environment={"DEVSHARD_API_KEYS": OLD_KEY},
    adopt=True,
)
RECORD = DeployRecord(profile="v2", storage="/data/gw", image=TAG, digest=DIGEST)
BARE = GatewaySeen(default=DEFAULT, folders=(DEFAULT,))


def plan(wish: GatewayWish = WISH, seen: GatewaySeen = SEEN) -> GatewayPlan:
    return make(wish, seen, profile("v2"))


def test_a_container_with_more_than_another_one_would_have_is_not_taken_over() -> None:
    own = dataclasses.replace(OWN, beyond=Beyond(networks=("chain",)))
    (text,) = plan(seen=dataclasses.replace(SEEN, own=own)).refused
    assert "gw is on the Docker network chain" in text
    recorded = dataclasses.replace(SEEN, own=own, record=RECORD)
    assert not any("network" in text for text in plan(seen=recorded).refused)


V4_1 = profile("v4.1", "v4.1")
PREFIX = "DEVSHARD_ROUTE_PREFIX"


def v4_1_refusals(wanted: dict[str, str], found: dict[str, str], **record: t.Any) -> list[str]:
    seen = with_container(environment=found)
    seen = dataclasses.replace(
        seen,
        variables=found,
        record=dataclasses.replace(RECORD, profile="v4.1", **record) if record else None,
    )
    wish = dataclasses.replace(WISH, environment=wanted, allow_recreate=True)
    return list(make(wish, seen, V4_1).to_result()["refused"])


def test_a_used_directory_keeps_its_protocol() -> None:
    same = {PREFIX: "/devshard/v4.1"}
    assert v4_1_refusals(same, same, protocol="v4.1") == []
    (why,) = v4_1_refusals(same, same, protocol="v4")
    assert "for protocol v4, but v4.1 is wanted (devshard_protocol)" in why


def test_a_variable_that_escrows_live_by_is_not_changed() -> None:
    (why,) = v4_1_refusals({PREFIX: "/devshard/v4.1"}, {PREFIX: "/devshard/v4"})
    assert why.startswith(f"{PREFIX} is /devshard/v4 in the gateway of {DIR}")
    assert "ends at its start or takes the escrow out of service" in why
    chain = "DEVSHARD_CHAIN_ID"
    assert v4_1_refusals({chain: "gonka-mainnet"}, {PREFIX: "/devshard/v4.1"}) == []
    (why,) = v4_1_refusals({chain: "gonka-mainnet"}, {chain: "gonka-test"})
    assert "its escrows exist on one chain alone" in why


def test_v2_may_change_every_variable() -> None:
    wish = dataclasses.replace(WISH, environment={"DEVSHARD_CHAIN_ID": "b"}, allow_recreate=True)
    seen = with_container(environment={"DEVSHARD_CHAIN_ID": "a"})
    assert plan(wish, dataclasses.replace(seen, variables={"DEVSHARD_CHAIN_ID": "a"})).refused == ()


def with_container(seen: GatewaySeen = SEEN, **changes: t.Any) -> GatewaySeen:
    assert seen.own is not None
    container = dataclasses.replace(seen.own.container, **changes)
    return dataclasses.replace(seen, own=dataclasses.replace(seen.own, container=container))


def refused(wish: GatewayWish = WISH, seen: GatewaySeen = SEEN) -> str:
    found = plan(wish, seen).to_result()["refused"]
    assert len(found) == 1, found
    return str(found[0])


def test_a_gateway_made_by_hand_is_kept_as_it_is() -> None:
    found = plan().to_result()
    assert found["refused"] == []
    assert (found["recreate"], found["reasons"]) == (False, [])
    assert found["storage"] == "/data/gw"
    assert (found["project"], found["service"]) == ("prod", "gw")
    assert found["pinned"] == DIGEST
    assert found["adopting"] is True


def test_without_leave_a_directory_of_somebody_else_is_not_taken() -> None:
    assert "playbook gonka.devshard.adopt" in refused(dataclasses.replace(WISH, adopt=False))


def test_a_bare_host() -> None:
    found = plan(WISH, BARE)
    assert found.refused == ()
    assert (found.storage, found.pinned, found.adopting) == (DEFAULT, None, False)
    assert (found.project, found.service) == (None, "devshardctl")


def test_another_generation() -> None:
    seen = dataclasses.replace(SEEN, record=dataclasses.replace(RECORD, profile="v4"))
    assert "belongs to a gateway of generation v4" in refused(seen=seen)


# storage


def test_the_storage_of_the_container_counts_whatever_the_record_says() -> None:
    record = dataclasses.replace(RECORD, storage=DEFAULT.path)
    old = dataclasses.replace(DEFAULT, says=RECORDED)
    seen = dataclasses.replace(SEEN, record=record, folders=(old,))
    assert plan(seen=seen).storage == DATA
    assert plan(seen=with_container(seen, state="exited")).storage == DATA


def test_a_volume_of_the_engine_stays_one() -> None:
    volume = dataclasses.replace(DATA, volume="prod_gw")
    seen = dataclasses.replace(SEEN, own=dataclasses.replace(OWN, storage=volume))
    assert plan(seen=seen).to_result()["volume"] == "prod_gw"


def test_the_folder_with_the_database_is_taken_when_the_container_is_gone() -> None:
    mounted = folder("/data/gw", 7, "which compose.yaml mounts")
    seen = dataclasses.replace(BARE, folders=(mounted, DEFAULT))
    assert plan(seen=seen).storage == mounted
    reached_twice = dataclasses.replace(mounted, path="/srv/link", says="which X names")
    assert plan(seen=dataclasses.replace(seen, folders=(reached_twice, mounted))).refused == ()


@pytest.mark.parametrize(
    "folders",
    [
        # the record's folder is empty, and the owner's is not
        (folder("/a", 2, RECORDED, database=False), folder("/b", 3, "which X names")),
        (folder("/a", 2, SETTING, database=False), folder("/b", 3, SIBLING)),
        (DEFAULT, folder(f"{DIR}/data", 3, SIBLING)),
    ],
)
def test_no_start_on_an_empty_storage_beside_another_one(folders: tuple[Folder, ...]) -> None:
    told = refused(seen=dataclasses.replace(BARE, folders=folders))
    assert folders[-1].path in told
    assert "which holds no gateway.db" in told
    assert "gateway_storage_dir" in told


def test_a_stopped_container_with_an_empty_storage_beside_another_one() -> None:
    empty = dataclasses.replace(DATA, database=False)
    own = dataclasses.replace(OWN, storage=empty)
    beside = folder(f"{DIR}/data", 3, SIBLING)
    seen = dataclasses.replace(SEEN, own=own, folders=(beside,))
    assert plan(seen=seen).refused == ()
    assert f"{DIR}/data" in refused(seen=with_container(seen, state="exited"))


def test_two_folders_with_a_database_are_not_guessed_between() -> None:
    two = (folder("/a", 2, "which X names"), folder("/b", 3, "which Y names"))
    told = refused(seen=dataclasses.replace(BARE, folders=two))
    assert "several folders hold a gateway.db" in told.lower()
    assert "/a, which X names; /b, which Y names" in told
    chosen = (folder("/b", 3, SETTING), *two)
    assert plan(seen=dataclasses.replace(BARE, folders=chosen)).storage.path == "/b"


def test_another_folder_than_the_container_has_is_not_set() -> None:
    seen = dataclasses.replace(SEEN, folders=(folder("/other", 9, SETTING),))
    assert "gateway_storage_dir is /other, but the container gw" in refused(seen=seen).replace(
        "Gateway_", "gateway_"
    )
    same = dataclasses.replace(SEEN, folders=(folder("/link", 7, SETTING),))
    assert plan(seen=same).refused == ()


def test_a_path_that_leads_elsewhere_by_now() -> None:
    seen = dataclasses.replace(SEEN, own=dataclasses.replace(OWN, moved=True))
    assert "leads to now" in refused(seen=seen)


@pytest.mark.parametrize(
    ("use", "is_rival"),
    [
        (Use(container="b", folder="/x", relation="same", writable=True, gateway=False), True),
        (Use(container="b", folder="/x", relation="inside", writable=True, gateway=False), True),
        (Use(container="b", folder="/", relation="around", writable=True, gateway=True), True),
        (Use(container="b", folder="/x", relation="unknown", writable=True, gateway=False), True),
        # a monitor of the host, and a copy that is only read
        (Use(container="b", folder="/", relation="around", writable=True, gateway=False), False),
        (Use(container="b", folder="/x", relation="same", writable=False, gateway=True), False),
    ],
)
def test_two_gateways_on_one_storage(use: Use, is_rival: bool) -> None:
    seen = dataclasses.replace(SEEN, uses=(use,))
    if is_rival:
        told = refused(seen=seen)
        assert "the container b" in told
        assert "the deposits of their escrows are lost" in told
    else:
        assert plan(seen=seen).refused == ()


# image


def test_what_runs_is_the_truth_whatever_the_record_says() -> None:
    """A refused run of 0.1.0 recorded an image that never ran, and three plays went in a circle."""
    lies = dataclasses.replace(
        RECORD, image=OTHER_TAG, digest=OTHER_DIGEST, previous_image=TAG, previous_digest=DIGEST
    )
    for container in (CONTAINER, dataclasses.replace(CONTAINER, image=DIGEST)):
        seen = dataclasses.replace(with_container(image=container.image), record=lies)
        seen = dataclasses.replace(seen, asked_is_running=True)
        found = plan(seen=seen)
        assert (found.refused, found.pinned) == ((), DIGEST)
        told = refused(
            dataclasses.replace(WISH, image=OTHER_TAG),
            dataclasses.replace(seen, asked_is_running=False),
        )
        assert f"set gateway_image to {TAG}" in told
        # and the advice works
        assert plan(WISH, seen).refused == ()


@pytest.mark.parametrize("asked", [TAG, DIGEST, f"mirror.example.org/gateway@{DIGEST[-71:]}"])
def test_the_same_image_by_any_of_its_names(asked: str) -> None:
    assert plan(dataclasses.replace(WISH, image=asked)).refused == ()


def test_another_image_is_refused_with_both_ways() -> None:
    told = refused(dataclasses.replace(WISH, image=OTHER_TAG))
    assert f"The gateway runs {TAG} ({DIGEST}), and {OTHER_TAG} is wanted" in told
    assert f"set gateway_image to {TAG}" in told
    assert "gonka.devshard.hot_swap" in told
    allowed = dataclasses.replace(WISH, image=OTHER_DIGEST, allow_recreate=True)
    found = plan(allowed)
    assert (found.refused, found.pinned) == ((), OTHER_DIGEST)
    assert found.drift.reasons
    assert (found.runs_image, found.runs_digest) == (TAG, DIGEST)


def test_a_fresh_look_at_the_tag() -> None:
    update = dataclasses.replace(WISH, image_update=True)
    assert plan(update, dataclasses.replace(SEEN, asked_is_running=True)).refused == ()
    for known in (None, False):
        told = refused(update, dataclasses.replace(SEEN, asked_is_running=known))
        assert "what its tag means now is wanted" in told
        assert "gateway_image_update to false" in told


def test_an_image_that_no_registry_has() -> None:
    built = with_container(digests=(), image="gateway:local")
    found = plan(dataclasses.replace(WISH, image="gateway:local"), built)
    assert (found.refused, found.pinned) == ((), "gateway:local")


def test_a_container_that_is_gone_comes_back_from_its_image() -> None:
    seen = dataclasses.replace(BARE, record=RECORD, folders=(folder("/data/gw", 7, RECORDED),))
    assert plan(seen=seen).pinned == DIGEST
    assert f"set gateway_image to {TAG}" in refused(
        dataclasses.replace(WISH, image=OTHER_TAG), seen
    )


# container


def test_a_new_client_key_is_in_force_or_refused() -> None:
    wish = dataclasses.replace(WISH, environment={"DEVSHARD_API_KEYS": NEW_KEY})
    told = refused(wish)
    assert "DEVSHARD_API_KEYS" in told
    assert "hot_swap" in told
    assert OLD_KEY not in told
    assert NEW_KEY not in told
    found = plan(dataclasses.replace(wish, allow_recreate=True)).to_result()
    assert (found["refused"], found["recreate"]) == ([], True)


def test_a_swap_that_follows_may_make_the_other_container() -> None:
    wish = dataclasses.replace(
        WISH, environment={"DEVSHARD_API_KEYS": NEW_KEY}, recreate_later=True
    )
    found = plan(wish).to_result()
    assert (found["refused"], found["recreate"]) == ([], True)
    seen = with_container(dataclasses.replace(SEEN, own=dataclasses.replace(OWN, storage=None)))
    assert "keeps its storage in itself" in refused(wish, seen)


def test_secrets_are_not_in_a_representation() -> None:
    assert OLD_KEY not in repr(WISH)
    assert OLD_KEY not in repr(SEEN)


def test_a_storage_inside_the_container_is_never_deleted() -> None:
    seen = dataclasses.replace(SEEN, own=dataclasses.replace(OWN, storage=None))
    seen = with_container(seen, mounts={})
    assert "keeps its storage in itself" in refused(
        dataclasses.replace(WISH, allow_recreate=True), seen
    )


def test_paths_of_records_stay_what_they_are() -> None:
    own = dataclasses.replace(OWN, inside="/data")
    seen = with_container(dataclasses.replace(SEEN, own=own), mounts={"/data": "/data/gw"})
    told = refused(dataclasses.replace(WISH, allow_recreate=True), seen)
    assert "has its storage at /data" in told


# port


def test_a_port_that_somebody_else_has() -> None:
    seen = dataclasses.replace(BARE, port_owner="container other (storage /x)")
    told = refused(seen=seen)
    assert "is taken by container other (storage /x)" in told
    assert "stop it" not in told.lower()


def test_a_port_of_the_accounting_that_another_gateway_has() -> None:
    wish = dataclasses.replace(WISH, accounting_port=9091)
    seen = dataclasses.replace(BARE, accounting_owner="container blue (storage /y)")
    told = refused(wish, seen)
    assert "ort 9091 on 127.0.0.1 is taken by container blue (storage /y)" in told
    assert "gateway_accounting_port" in told
    both = plan(wish, dataclasses.replace(seen, port_owner="a process")).to_result()["refused"]
    assert ["gateway_accounting_port" in both[0], "devshard_gateway_url" in both[1]] == [True] * 2
    # the container that runs has it, or gets it by a swap
    running = dataclasses.replace(SEEN, accounting_owner="x")
    assert plan(seen=running).to_result()["refused"] == []


def test_an_engine_that_cannot_be_asked_is_not_known() -> None:
    """The port may be that of the very container."""
    seen = dataclasses.replace(BARE, port_owner="a process", engine="it does not answer")
    found = plan(seen=seen).to_result()
    assert found["refused"] == []
    assert (found["known"], found["unknown"]) == (False, "it does not answer")


def test_limits_that_would_close_the_settings_for_ever() -> None:
    limits = {"GATEWAY_DEFAULT_MAX_TOKENS": "5000", "GATEWAY_MAX_TOKENS_CAP": "4096"}
    wish = dataclasses.replace(WISH, environment=limits)
    assert "set gateway_max_tokens_cap to at least 5000" in refused(wish, BARE).replace(
        "Set", "set"
    )
    assert plan(wish, dataclasses.replace(SEEN)).refused == ()


@pytest.mark.parametrize(("there", "refuses"), [(True, 0), (None, 0), (False, 1)])
def test_only_an_image_that_is_known_to_be_missing_is_refused(
    there: bool | None, refuses: int
) -> None:
    found = plan(WISH, BARE).with_image(Available(there=there, text="the registry has no image x"))
    assert found.to_result()["image"]["there"] is there
    assert [text.endswith(" x (gateway_image)") for text in found.to_result()["refused"]] == [
        True
    ] * refuses
