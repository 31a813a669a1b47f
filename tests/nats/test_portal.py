"""The event loop of a program that blocks."""

import asyncio

import pytest

from ipcfold.nats.portal import ClosedError, Portal


def test_a_portal_that_ends_lets_everything_let_go_of_what_it_holds() -> None:
    done = list[str]()

    async def hold(freed: asyncio.Event) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            freed.set()
            done.append("held")

    async def linger(freed: asyncio.Event) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await freed.wait()  # nobody cancels it a second time
            done.append("lingered")

    async def begin() -> tuple[asyncio.Task[None], asyncio.Task[None]]:
        freed = asyncio.Event()
        holding, lingering = asyncio.create_task(hold(freed)), asyncio.create_task(linger(freed))
        await asyncio.sleep(0)
        lingering.cancel()
        return holding, lingering

    portal = Portal()
    holding, lingering = portal.run(begin())
    portal.close()
    assert done == ["held", "lingered"]
    assert holding.cancelled()
    assert lingering.cancelled()


def test_a_portal_that_ends_cancels_again_what_does_not_let_go() -> None:
    async def cling(begun: asyncio.Event) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.Event().wait()

    async def begin() -> asyncio.Task[None]:
        begun = asyncio.Event()
        clinging = asyncio.create_task(cling(begun))
        await begun.wait()
        return clinging

    portal = Portal()
    clinging = portal.run(begin())
    portal.close()
    assert clinging.cancelled()


def test_a_portal_that_has_ended_runs_nothing() -> None:
    portal = Portal()
    portal.close()
    portal.close()
    with pytest.raises(ClosedError):
        portal.run(asyncio.sleep(0))
    portal.finish(lambda: asyncio.sleep(0))
