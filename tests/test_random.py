"""A statistical battery for generators, which finds nothing in `hashed` and threefry and something in bad ones; then
streams, keys, and their way to disk and back.

Every check gives probabilities that a perfect generator would do as badly; one below ALARM is a find. The number of
probabilities is asserted, so that ALARM times that number bounds the chance of a false alarm.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from quorate import random
from quorate.errors import Refusal

ALARM = 1e-8
CHECKS = 2000  # at most, for both generators together: a false alarm for one seed in 50,000; the seeds are fixed
TICKS, AGENTS = 64, 2**14
PRIME = 0x9E3779B1
RECORDED = [1611065758, 3279838452, 2692391758, 3523051188, 699101248]


# ----------------------------------------------------------------------------------------------------- the battery


def bits_of(words):
    """[32, ...] of 0 and 1."""
    return np.unpackbits(words.astype("<u4").reshape(-1, 1).view(np.uint8), axis=1, bitorder="little").T


def uniform_cells(counts):
    return stats.chisquare(counts.ravel()).pvalue


def two_sided(z):
    return 2 * stats.norm.sf(np.abs(z))


def bytes_even(words):
    table = words.astype("<u4").reshape(-1).view(np.uint8).reshape(-1, 4)
    return [uniform_cells(np.bincount(table[:, column], minlength=256)) for column in range(4)]


def bits_even(words):
    bits = bits_of(words)
    n = bits.shape[1]
    return two_sided((bits.sum(axis=1, dtype=np.int64) - n / 2) / np.sqrt(n / 4))


def correlation(one, other):
    """Of two lists of words, as numbers and bit by bit (every bit of the one with the same of the other)."""
    n = one.size
    x, y = (part.astype(np.float64).ravel() / 2**32 - 0.5 for part in (one, other))
    agree = n - bits_of(one ^ other).sum(axis=1, dtype=np.int64)
    return [two_sided(12 * (x @ y) / np.sqrt(n)), *two_sided((agree - n / 2) / np.sqrt(n / 4))]


def cells(one, other):
    """Pairs on a 64 by 64 board, by high and by low bits."""
    found = []
    for shift in (26, 0):
        a, b = (((part >> np.uint32(shift)) & 63).astype(np.int64).ravel() for part in (one, other))
        found.append(uniform_cells(np.bincount(a * 64 + b, minlength=4096)))
    return found


def spacings(words):
    """Birthday spacings (Marsaglia): among the gaps of 512 birthdays in a year of 2^24 days, the number of those that
    occur again is Poisson with mean 512^3 / (4 2^24) = 2. High and low bits, all samples together."""
    found = []
    for shift in (8, 0):
        days = np.sort((words.reshape(-1, 512) >> np.uint32(shift)) & np.uint32(0xFFFFFF), axis=1).astype(np.int64)
        gaps = np.sort(np.diff(days, axis=1), axis=1)
        again = (np.diff(gaps, axis=1) == 0).sum()
        mean = 2.0 * len(days)
        found.append(min(1, 2 * min(stats.poisson.cdf(again, mean), stats.poisson.sf(again - 1, mean))))
    return found


def repeats(words):
    """Words that occur again within a stream of n: Poisson with mean n^2 / 2^33, unlike in a plain permutation."""
    again = sum(row.size - np.unique(row).size for row in words)
    mean = len(words) * words.shape[1] ** 2 / 2**33
    return [min(1, 2 * min(stats.poisson.cdf(again, mean), stats.poisson.sf(again - 1, mean)))]


def means(words):
    """The means of each agent over ticks and of each tick over agents spread as they should."""
    numbers = words / 2**32
    found = []
    for axis in (0, 1):
        z = (numbers.mean(axis=axis) - 0.5) * np.sqrt(12 * words.shape[axis])
        found += [stats.kstest(z, "norm").pvalue, *chi_two_sided((z**2).sum(), z.size)]
    return found


def chi_two_sided(value, degrees):
    return [min(1, 2 * min(stats.chi2.cdf(value, degrees), stats.chi2.sf(value, degrees)))]


def table_checks(words):
    """Of a table of words [ticks, agents]: within a row, between neighbours, and between rows."""
    rows, columns = (words[:-1], words[1:]), (words[:, :-1], words[:, 1:])
    found = [*bytes_even(words), *bits_even(words), *spacings(words), *means(words)]
    for pair in (rows, columns):
        found += [*correlation(*pair), *cells(*pair)]
    exclusive = rows[0] ^ rows[1]
    return np.array([*found, *bytes_even(exclusive), *bits_even(exclusive)])


# ---------------------------------------------------------------------------------------------- what it is applied to


@jax.jit
def rows_of(keys):
    return jax.vmap(lambda key: jax.random.bits(key, (AGENTS,), jnp.uint32))(keys)


def by_tick(key):
    return jax.vmap(lambda t: jax.random.fold_in(key, t))(jnp.arange(TICKS))


def by_stage(key):
    return jax.vmap(lambda t: jax.random.fold_in(jax.random.fold_in(jax.random.fold_in(key, t // 8), t % 8), 0))(
        jnp.arange(TICKS)
    )


def by_split(key):
    return jax.random.split(key, TICKS)


def by_chain(key):
    return jax.lax.scan(lambda key, _: tuple(jax.random.split(key)), key, length=TICKS)[1]


def by_seed(generator):
    return jax.vmap(lambda seed: random.key(seed, generator))(jnp.arange(TICKS, dtype=jnp.uint32))


@jax.jit
def by_agent(key):
    return jax.vmap(lambda me: jax.random.bits(jax.random.fold_in(key, me), (TICKS,), jnp.uint32))(jnp.arange(AGENTS))


@jax.jit
def streams(key):
    """Words, uniform and normal numbers of one key and of a child of it."""
    words, uniform = jax.random.bits(key, (4, 2**19), jnp.uint32), jax.random.uniform(key, (2**19,))
    return words, uniform, jax.random.normal(jax.random.fold_in(key, 1), (2**19,))


TABLES = {"tick": by_tick, "stage": by_stage, "split": by_split, "chain": by_chain}


OURS = [pytest.param(name, marks=() if name == "hashed" else pytest.mark.slow) for name in random.GENERATORS]


@pytest.mark.parametrize("generator", OURS)  # the other one is JAX's own: make proof
def test_the_battery_finds_nothing(generator):
    found = []
    key = random.key(2024, generator)
    for _, derive in TABLES.items():
        found.append(table_checks(np.asarray(rows_of(jax.jit(derive)(key)))))
    found.append(table_checks(np.asarray(rows_of(jax.jit(by_seed, static_argnums=0)(generator)))))
    found.append(table_checks(np.asarray(by_agent(key)).T))  # a key for each node, as protocols have it
    words, uniform, normal = streams(key)
    found.append(repeats(np.asarray(words)))
    found.append([stats.kstest(np.asarray(uniform), "uniform").pvalue, stats.kstest(np.asarray(normal), "norm").pvalue])
    found = np.concatenate(found)
    assert 2 * found.size <= CHECKS and CHECKS * ALARM < 1e-4
    assert np.isfinite(found).all()
    assert found.min() > ALARM
    assert (found < 0.01).mean() < 0.05  # and few come near


# ------------------------------------------------------------------------------------ generators in which it finds it


def mixed(word):
    word = (word ^ (word >> np.uint32(16))) * np.uint32(0x21F0AAAD)
    word = (word ^ (word >> np.uint32(15))) * np.uint32(0x735A2D97)
    return word ^ (word >> np.uint32(15))


def counter(tick, agent):
    """A counter without any mixing."""
    return tick * np.uint32(AGENTS) + agent


def weyl(tick, agent):
    """A counter times an odd number."""
    return (tick * np.uint32(AGENTS) + agent) * np.uint32(PRIME)


def linear_low(tick, agent):
    """A linear congruential generator whose low bits have short periods; each tick goes on where the last stopped."""
    out = np.empty(TICKS * AGENTS, np.uint32)
    multiplier, increment, jump = 1664525, 1013904223, 1
    out[0] = 12345
    while jump < out.size:
        size = min(jump, out.size - jump)
        out[jump : jump + size] = out[:size] * np.uint32(multiplier) + np.uint32(increment)
        increment = (multiplier * increment + increment) % 2**32
        multiplier = multiplier * multiplier % 2**32
        jump *= 2
    return out.reshape(TICKS, AGENTS)


def half_key(tick, agent):
    """One round of mixing that leaves the second half of the key out, where the ticks differ in that half only."""
    return mixed(agent ^ np.uint32(0xDEADBEEF))


def shifted(tick, agent):
    """Well mixed, but the next tick is this one, an agent further."""
    return mixed(mixed(tick + agent) + np.uint32(PRIME))


def reused(tick, agent):
    """Well mixed, but every other tick is the one before with all bits turned."""
    word = mixed(mixed(agent) + tick // np.uint32(2))
    return np.where(tick % 2, word ^ np.uint32(0xFFFFFFFF), word)


def stuck(tick, agent):
    """Well mixed, but one bit is set six times in ten."""
    word, lot = (mixed(mixed(agent + np.uint32(salt)) + tick) for salt in (0, 1 << 20))
    return np.where(lot % np.uint32(5) == 0, word | np.uint32(1 << 13), word)


@pytest.mark.parametrize("bad", [counter, weyl, linear_low, half_key, shifted, reused, stuck])
def test_the_battery_finds_what_is_bad(bad):
    tick, agent = np.arange(TICKS, dtype=np.uint32)[:, None], np.arange(AGENTS, dtype=np.uint32)[None]
    words = np.broadcast_to(bad(tick, agent), (TICKS, AGENTS)).astype(np.uint32)
    assert table_checks(words).min() < ALARM


def test_a_permutation_is_found_by_its_lack_of_repeats():
    words = mixed(mixed(np.arange(2**20, dtype=np.uint32)) + np.uint32(PRIME)).reshape(1, -1)
    assert repeats(words)[0] < ALARM


def test_a_bad_uniform_is_found():
    squeezed = np.random.default_rng(0).uniform(size=2**19) ** 1.02
    assert stats.kstest(squeezed, "uniform").pvalue < ALARM


# -------------------------------------------------------------------------------------------------------- keys as such


def data(keys):
    return np.asarray(jax.random.key_data(keys)).reshape(-1, 2)


def distinct(rows):
    return len(np.unique(rows.astype(np.uint64) @ np.array([2**32, 1], np.uint64)))


def test_seeds_give_distinct_keys_and_halves():
    keys = data(jax.vmap(lambda seed: random.key(seed, "hashed"))(jnp.arange(2**16, dtype=jnp.uint32)))
    assert distinct(keys) == 2**16
    assert len(np.unique(keys[:, 0])) == len(np.unique(keys[:, 1])) == 2**16  # so no stream is another one reordered


def test_children_of_a_key_are_distinct_and_unlike_those_of_its_mirror():
    """Folded numbers, splits, the draws, and the same of the key with its halves exchanged; also for equal halves."""
    fold_all, split = jax.jit(jax.vmap(jax.random.fold_in, (None, 0))), jax.jit(jax.random.split, static_argnums=1)
    near, far = np.arange(2**16, dtype=np.uint32), np.arange(2**12, dtype=np.uint32)
    numbers = jnp.asarray(np.concatenate([near, far + np.uint32(2**31), far ^ np.uint32(0xA5A5A5A5)]))
    for words in ([0, 0], [7, 7], [0xFFFFFFFF, 0xFFFFFFFF], [1, 2], [2, 1], [0x9E3779B9, 0]):
        both = [random.restored("hashed", turned) for turned in (words, words[::-1])]
        folded = [data(fold_all(key, numbers)) for key in both]
        assert len(np.unique(folded[0][:, 0])) == len(np.unique(np.asarray(numbers)))
        rows = [folded[0], folded[0][:, ::-1], *(data(split(key, 2**12)) for key in both[:1])]
        if words[0] != words[1]:
            rows.append(folded[1])
        everything = np.concatenate([np.unique(row, axis=0) for row in rows])
        assert distinct(everything) == len(everything)


def test_streams_are_the_same_under_jit_vmap_and_scan():
    for generator in random.GENERATORS:
        keys = jax.random.split(random.key(5, generator), 8)
        alone = np.stack([jax.random.bits(key, (100,)) for key in keys])
        assert (alone == np.asarray(jax.vmap(lambda key: jax.random.bits(key, (100,)))(keys))).all()
        assert (alone == np.asarray(jax.jit(jax.vmap(lambda key: jax.random.bits(key, (100,))))(keys))).all()
        assert (alone == np.asarray(jax.lax.scan(lambda c, key: (c, jax.random.bits(key, (100,))), 0, keys)[1])).all()
        assert len(np.unique(alone)) == alone.size
    assert (alone[:, :10] == np.asarray(jax.vmap(lambda key: jax.random.bits(key, (10,)))(keys))).all()


def test_the_shape_does_not_matter_and_narrow_words_are_even():
    key = random.key(5, "hashed")
    flat = np.asarray(jax.random.bits(key, (600,)))
    assert (flat.reshape(20, 30) == np.asarray(jax.random.bits(key, (20, 30)))).all()
    for dtype in (jnp.uint8, jnp.uint16):
        narrow = np.asarray(jax.random.bits(key, (2**16,), dtype))
        assert narrow.dtype == dtype
        assert uniform_cells(np.bincount(narrow & 255, minlength=256)) > 1e-8


def test_a_recorded_stream():
    """Keys on disk must lead to the same words in later versions."""
    key = jax.random.fold_in(random.key(2024, "hashed"), 7)
    assert [*data(key)[0].tolist(), *data(jax.random.split(key))[1].tolist(), int(jax.random.bits(key))] == RECORDED


@pytest.mark.parametrize("generator", random.GENERATORS)
def test_keys_go_to_disk_and_back(generator):
    key = jax.random.fold_in(random.key(3, generator), 9)
    name, words = random.raw(key)
    back = random.restored(name, np.asarray(words).tolist())
    assert name == generator and words.dtype == jnp.uint32
    assert back.dtype == key.dtype and (data(back) == data(key)).all()
    assert (jax.random.bits(back, (9,)) == jax.random.bits(key, (9,))).all()


def test_what_is_refused():
    for call in (lambda: random.key(0, "hash"), lambda: random.restored("hash", [0, 0])):
        with pytest.raises(Refusal, match='no generator is called "hash"; did you mean hashed?'):
            call()
    with pytest.raises(Refusal, match="no generator is called"):
        random.raw(jax.random.key(0, impl="rbg"))
    for seed in (-1, 2**32):
        with pytest.raises(Refusal, match=f"seed is {seed}; it must be between 0 and 2"):
            random.key(seed)
    assert (data(random.key(2**32 - 1)) != data(random.key(0))).any()
