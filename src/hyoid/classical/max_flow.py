"""The smallest cut of a grid of voxels between a source and a sink, by two trees that grow towards each other.

Each voxel is tied to the source or the sink and to its neighbours along the axes. One tree grows from the source, one
from the sink; where they touch, flow is sent until an edge is full, and what that cuts off looks for a new parent.
Capacities are integers, so the cut is exact. Memory is about 50 bytes for each voxel.

Reference:
    boykov2004comparison.
"""

from __future__ import annotations

import numpy as np

from ..ops.loops import compiled

FREE, SOURCE, SINK = 0, 1, 2
ROOT, ORPHAN, NONE = 6, 7, 8
"""What a parent may be beside a direction 0 to 5 (along axis 0 forward, back, along axis 1 forward, ...)."""


def smallest_cut(terminal: np.ndarray, forward: np.ndarray, backward: np.ndarray) -> tuple[np.ndarray, int]:
    """Which voxels stay on the side of the source, boolean (*S), and what was cut, without terms all cuts share.

    Args:
        terminal: Capacity from the source (positive) or to the sink (negative), int32 (*S) of three axes.
        forward: Capacity from each voxel to the next along each axis, int32 (3, *S), 0 behind the last.
        backward: Capacity from that next voxel back, int32 (3, *S).
    """
    shape = terminal.shape
    size = terminal.size
    capacity = np.zeros((size, 6), np.int32)
    steps = np.array([shape[1] * shape[2], shape[2], 1])
    for axis, step in enumerate(steps):
        if shape[axis] > 1:
            capacity[:, 2 * axis] = forward[axis].ravel()
            capacity[step:, 2 * axis + 1] = backward[axis].ravel()[: size - step]
    tree = np.zeros(size, np.uint8)
    offsets = np.stack([steps, -steps], 1).ravel()
    flow = _max_flow(terminal.ravel().astype(np.int32), capacity, offsets, tree)
    return (tree == SOURCE).reshape(shape), int(flow)


@compiled
def _origin_of(
    start: int, parent: np.ndarray, offsets: np.ndarray, stamp: np.ndarray, far: np.ndarray, time: int
) -> int:
    """Steps from a node to the terminal; -1 when its branch was cut off. Marks the way as known at this time."""
    node, steps = start, 0
    while True:
        if stamp[node] == time:
            steps += far[node]
            break
        up = parent[node]
        if up == ROOT:
            stamp[node] = time
            far[node] = 1
            steps += 1
            break
        if up >= ORPHAN:
            return -1
        node += offsets[up]
        steps += 1
    left, node = steps, start
    while stamp[node] != time:
        stamp[node] = time
        far[node] = left
        left -= 1
        node += offsets[parent[node]]
    return steps


@compiled
def _sent(
    node: int,
    way: int,
    terminal: np.ndarray,
    capacity: np.ndarray,
    offsets: np.ndarray,
    parent: np.ndarray,
    orphans: np.ndarray,
) -> tuple[int, int]:
    """Send what fits from the root of `node` through the edge `way` to the sink; the flow and how many orphans."""
    other = node + offsets[way]
    amount = capacity[node, way]
    at = node
    while parent[at] != ROOT:
        up = parent[at]
        amount = min(amount, capacity[at + offsets[up], up ^ 1])
        at += offsets[up]
    amount = min(amount, terminal[at])
    at = other
    while parent[at] != ROOT:
        up = parent[at]
        amount = min(amount, capacity[at, up])
        at += offsets[up]
    amount = min(amount, -terminal[at])
    capacity[node, way] -= amount
    capacity[other, way ^ 1] += amount
    count = 0
    for sign in (1, -1):  # down the branch from the source, then up the one to the sink
        at = node if sign == 1 else other
        while parent[at] != ROOT:
            up = parent[at]
            above = at + offsets[up]
            capacity[above, up ^ 1] -= sign * amount
            capacity[at, up] += sign * amount
            if (capacity[above, up ^ 1] if sign == 1 else capacity[at, up]) == 0:
                parent[at] = ORPHAN
                orphans[count] = at
                count += 1
            at = above
        terminal[at] -= sign * amount
        if terminal[at] == 0:
            parent[at] = ORPHAN
            orphans[count] = at
            count += 1
    return amount, count


@compiled
def _max_flow(terminal: np.ndarray, capacity: np.ndarray, offsets: np.ndarray, tree: np.ndarray) -> int:
    size = terminal.size
    parent = np.full(size, NONE, np.uint8)
    stamp = np.zeros(size, np.int32)
    far = np.zeros(size, np.int32)
    active = np.empty(size + 1, np.int32)
    waiting = np.zeros(size, np.bool_)
    orphans = np.empty(size + 1, np.int32)
    first, last = 0, 0
    for node in range(size):
        if terminal[node] != 0:
            tree[node] = SOURCE if terminal[node] > 0 else SINK
            parent[node] = ROOT
            far[node] = 1
            active[last] = node
            last += 1
            waiting[node] = True
    time, flow = 0, 0
    while first != last:
        node = active[first]
        met = -1
        if tree[node] != FREE:
            for way in range(6):
                other = node + offsets[way]
                if other < 0 or other >= size:
                    continue
                left = capacity[node, way] if tree[node] == SOURCE else capacity[other, way ^ 1]
                if left == 0:
                    continue
                if tree[other] == FREE:
                    tree[other] = tree[node]
                    parent[other] = way ^ 1
                    stamp[other] = stamp[node]
                    far[other] = far[node] + 1
                    if not waiting[other]:
                        waiting[other] = True
                        active[last] = other
                        last = (last + 1) % (size + 1)
                elif tree[other] != tree[node]:
                    met = way
                    break
                elif stamp[other] <= stamp[node] and far[other] > far[node] and parent[other] < ROOT:
                    parent[other] = way ^ 1
                    stamp[other] = stamp[node]
                    far[other] = far[node] + 1
        if met < 0:
            waiting[node] = False
            first = (first + 1) % (size + 1)
            continue
        time += 1
        low, way = (node, met) if tree[node] == SOURCE else (node + offsets[met], met ^ 1)
        amount, count = _sent(low, way, terminal, capacity, offsets, parent, orphans)
        flow += amount
        begin, end = 0, count
        while begin != end:
            orphan = orphans[begin]
            begin = (begin + 1) % (size + 1)
            best, steps = NONE, 2**31 - 1
            for way in range(6):
                other = orphan + offsets[way]
                if other < 0 or other >= size or tree[other] != tree[orphan]:
                    continue
                left = capacity[other, way ^ 1] if tree[orphan] == SOURCE else capacity[orphan, way]
                if left == 0:
                    continue
                away = _origin_of(other, parent, offsets, stamp, far, time)
                if away >= 0 and away < steps:
                    best, steps = way, away
            if best != NONE:
                parent[orphan] = best
                stamp[orphan] = time
                far[orphan] = steps + 1
                continue
            for way in range(6):
                other = orphan + offsets[way]
                if other < 0 or other >= size or tree[other] != tree[orphan]:
                    continue
                left = capacity[other, way ^ 1] if tree[orphan] == SOURCE else capacity[orphan, way]
                if left > 0 and not waiting[other]:
                    waiting[other] = True
                    active[last] = other
                    last = (last + 1) % (size + 1)
                if parent[other] == way ^ 1:
                    parent[other] = ORPHAN
                    orphans[end] = other
                    end = (end + 1) % (size + 1)
            tree[orphan] = FREE
            parent[orphan] = NONE
    return flow
