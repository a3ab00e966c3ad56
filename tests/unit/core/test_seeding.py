"""Seeds by name."""

import hashlib
import itertools

from vpbench.core.seeding import clip_seed, opaque_id, seed_of


def test_a_clip_s_seed_is_the_sha256_of_its_words():
    text = b"str:clip\x1fint:3\x1fstr:a/b\x1fint:1"
    expected = int(hashlib.sha256(text).hexdigest()[:16], 16) >> 1
    assert clip_seed(3, "a/b", 1) == expected == seed_of("clip", 3, "a/b", 1)


def test_seeds_fit_int64_and_never_meet():
    words = itertools.product(range(5), ["a", "b", "a/b", ""], range(5))
    seeds = [clip_seed(*w) for w in words]
    assert len(set(seeds)) == 100
    assert all(0 <= s < 2**63 for s in seeds) and max(seeds) > 2**62


def test_words_do_not_run_together():
    assert (
        len(
            {
                seed_of("a", "b"),
                seed_of("ab"),
                seed_of("a", 1),
                seed_of("a", "1"),
                seed_of("a1"),
                seed_of("b", "a"),
                seed_of("a", "b", ""),
            }
        )
        == 7
    )


def test_opaque_ids_tell_nothing_and_differ_by_task():
    one = opaque_id("salt", "penn", "squats/0001")
    assert one == opaque_id("salt", "penn", "squats/0001")
    assert len(one) == 16 and "squats" not in one
    others = [("salt", "nemo", "squats/0001"), ("salt", "penn", "squats/0002")]
    others = [opaque_id(*words) for words in (*others, ("other", "penn", "squats/0001"))]
    assert len({one, *others}) == 4


def test_ids_that_are_no_unicode():
    assert seed_of("caf\udce9") != seed_of("cafe") and opaque_id("", "t", "caf\udce9")
