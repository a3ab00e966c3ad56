"""Statistics of rankings against closed forms and against other people's programs."""

import itertools
import warnings

import numpy as np
import pytest
from scipy import stats as scipy_stats

from vpbench.study.power import simulated_ranks, told_apart
from vpbench.study.statistics import agreement, plackett_luce, significance
from vpbench.study.statistics.resample import estimate, weighted_mean
from vpbench.study.statistics.summary import summarise
from vpbench.study.statistics.votes import Votes, make_votes, mid_ranks


def votes_from(ranks):
    """Votes from ranks [raters,clips,K]."""
    raters, clips, k = ranks.shape
    rater, clip = np.meshgrid(np.arange(raters), np.arange(clips), indexing="ij")
    return Votes(
        tuple("abcdef"[:k]),
        tuple(f"r{r}" for r in range(raters)),
        tuple(f"c{c}" for c in range(clips)),
        rater.ravel(),
        clip.ravel(),
        ranks.reshape(-1, k).astype(np.float64),
    )


def some_votes(seed, raters=6, clips=9, worth=(0.8, 0.1, -0.2, -0.7)):
    rng = np.random.default_rng(seed)
    return votes_from(simulated_ranks(rng, np.array(worth), raters, clips))


FOUR = np.array([[1, 2, 3, 4], [1, 2, 4, 3], [2, 1, 3, 4]], np.float64)


class TestVotes:
    def test_mid_ranks(self):
        values = np.array([[0.3, 0.1, 0.3, 0.9], [5.0, 5.0, 5.0, 5.0]])
        assert mid_ranks(values).tolist() == [[2.5, 1.0, 2.5, 4.0], [2.5, 2.5, 2.5, 2.5]]

    @pytest.mark.parametrize("ranks", [[1, 1, 3, 4], [0, 1, 2, 3], [1, 2, 3, np.nan]])
    def test_refuses_what_is_not_a_ranking(self, ranks):
        with pytest.raises(ValueError):
            make_votes("abcd", [("r", "c", ranks)])

    def test_tables_3_consistency(self):
        """Strict ranks 1..4: mean ranks sum to 10, and the second moment is that of 1..4."""
        summary = summarise(some_votes(0), n_resamples=100)
        means = np.array([m["mean_rank"] for m in summary["methods"]])
        sds = np.array([m["sd"] for m in summary["methods"]])
        assert means.sum() == pytest.approx(10, abs=1e-12)
        assert (sds**2).sum() + ((means - 2.5) ** 2).sum() == pytest.approx(5, abs=1e-12)
        published = np.array([1.81, 2.44, 3.14, 2.61]), np.array([1.02, 0.98, 1.09, 0.96])
        assert published[0].sum() == pytest.approx(10, abs=1e-9)
        second = (published[1] ** 2).sum() + ((published[0] - 2.5) ** 2).sum()
        assert second == pytest.approx(5, abs=0.02)  # so the paper's SD is that of single votes

    def test_table_3s_friedman(self):
        """W = 0.180 gives 8.11, 37.9 and 568 for 15, 70 and 1050 blocks (metrics of the paper)."""
        means = np.array([1.81, 2.44, 3.14, 2.61])
        w = ((means - 2.5) ** 2).sum() / 5
        assert w == pytest.approx(0.180, abs=5e-4)
        assert [round(n * 3 * w, 1) for n in (15, 70, 1050)] == [8.1, 37.9, 567.9]


class TestSignificance:
    def test_closed_vector(self):
        found = significance.friedman(FOUR)
        assert found.w == pytest.approx(0.8222222222)
        assert found.chi2 == pytest.approx(7.4)
        assert found.p == pytest.approx(0.0601843, abs=1e-7)

    @pytest.mark.parametrize("seed", range(8))
    def test_friedman_is_scipys(self, seed):
        rng = np.random.default_rng(seed)
        blocks = rng.integers(0, 5, (12, 4)).astype(np.float64)  # with ties
        found = significance.friedman(blocks)
        chi2, p = scipy_stats.friedmanchisquare(*blocks.T)
        assert found.chi2 == pytest.approx(chi2, rel=1e-12)
        assert found.p == pytest.approx(p, rel=1e-9)

    def test_friedman_of_two_methods_is_the_sign_tests_chi_squared(self):
        blocks = np.array([[1, 2]] * 9 + [[2, 1]] * 3, np.float64)
        assert significance.friedman(blocks).chi2 == pytest.approx((9 - 3) ** 2 / 12)

    def test_degenerate(self):
        assert significance.friedman(np.full((5, 3), 2.0)).p is None
        assert significance.friedman(FOUR[:1]).p is None
        assert significance.kendall_w(np.tile([1.0, 2, 3, 4], (7, 1))) == 1
        assert significance.kendall_w(np.array([[1.0, 2, 3], [3, 2, 1]])) == 0
        assert significance.kendall_w(np.empty((0, 3))) is None
        assert significance.wilcoxon_pairs(np.full((6, 3), 2.0)) == dict.fromkeys(
            itertools.combinations(range(3), 2), 1.0
        )

    @pytest.mark.parametrize("seed", range(4))
    def test_wilcoxon_by_all_signs(self, seed):
        """Exact p: all 2^n signs of the same absolute differences are equally likely."""
        rng = np.random.default_rng(seed)
        difference = rng.normal(0.4, 1, 9)
        if seed % 2:
            difference = np.round(2 * difference) / 2 + 0.25  # with ties
        ranks = scipy_stats.rankdata(np.abs(difference))
        centre = ranks.sum() / 2
        seen = abs(ranks[difference > 0].sum() - centre)
        signs = np.array(list(itertools.product([0, 1], repeat=9)))
        exact = (np.abs(signs @ ranks - centre) >= seen - 1e-9).mean()
        blocks = np.column_stack([difference, np.zeros(9)])
        assert significance.wilcoxon_pairs(blocks)[0, 1] == pytest.approx(exact, rel=1e-9)

    @pytest.mark.parametrize("seed", range(4))
    def test_wilcoxon_holm_is_scikit_posthocs(self, seed):
        posthocs = pytest.importorskip("scikit_posthocs")
        blocks = np.random.default_rng(seed).normal(size=(14, 4)) + np.arange(4) / 3
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = posthocs.posthoc_wilcoxon(list(blocks.T), p_adjust="holm").to_numpy()
        for (i, j), p in significance.wilcoxon_pairs(blocks).items():
            assert p == pytest.approx(theirs[i, j], rel=1e-6)

    def test_holm_is_statsmodels(self):
        multitest = pytest.importorskip("statsmodels.stats.multitest")
        from vpbench.core.stats import holm

        p = np.random.default_rng(3).uniform(0, 0.2, 15)
        assert holm(list(p)) == pytest.approx(multitest.multipletests(p, method="holm")[1])

    def test_nemenyi(self):
        found = significance.nemenyi(np.vstack([FOUR, [1, 2, 3, 4]]))
        assert found.p[0, 3] == pytest.approx(0.0314, abs=5e-5)
        assert found.p[0, 2] == pytest.approx(0.1257, abs=5e-5)
        assert found.p[0, 1] == pytest.approx(0.9472, abs=5e-5)
        seventy = significance.nemenyi(np.tile([1.0, 2, 3, 4], (70, 1)))
        assert seventy.critical_difference == pytest.approx(0.5606, abs=2e-4)

    @pytest.mark.parametrize("seed", range(3))
    def test_nemenyi_is_scikit_posthocs(self, seed):
        posthocs = pytest.importorskip("scikit_posthocs")
        blocks = np.random.default_rng(seed).normal(size=(20, 5))
        theirs = posthocs.posthoc_nemenyi_friedman(blocks).to_numpy()
        for (i, j), p in significance.nemenyi(blocks).p.items():
            assert p == pytest.approx(theirs[i, j], abs=1e-6)


class TestPlackettLuce:
    ORDERS = np.array([[0, 1, 2, 3], [1, 0, 2, 3], [0, 2, 1, 3], [3, 2, 1, 0]])

    def test_known_maximum(self):
        theta = plackett_luce.fit(self.ORDERS, np.array([[6.0, 3, 2, 1]]))[0]
        assert theta == pytest.approx([1.71087124, 1.00451774, -0.09279769, -2.62259129], abs=1e-7)

    def test_two_methods_are_a_logit(self):
        theta = plackett_luce.fit(np.array([[0, 1], [1, 0]]), np.array([[3.0, 1.0]]))[0]
        assert theta[0] - theta[1] == pytest.approx(np.log(3), abs=1e-10)

    @pytest.mark.parametrize("seed", range(6))
    def test_is_choix(self, seed):
        choix = pytest.importorskip("choix")
        votes = some_votes(seed, raters=5, clips=6)
        known = plackett_luce.patterns(votes)
        counts = np.bincount(known.votes, minlength=len(known.orders)).astype(np.float64)
        ours = plackett_luce.fit(known.orders, counts[None])[0]
        rankings = [tuple(int(m) for m in known.orders[p]) for p in known.votes]
        theirs = choix.opt_rankings(4, rankings, alpha=0, tol=1e-10)
        assert ours == pytest.approx(theirs - theirs.mean(), abs=1e-5)

    def test_many_weightings_at_once_are_each_alone(self):
        weights = np.random.default_rng(0).integers(0, 9, (40, 4)).astype(np.float64)
        together = plackett_luce.fit(self.ORDERS, weights)
        alone = np.vstack([plackett_luce.fit(self.ORDERS, row[None]) for row in weights])
        np.testing.assert_allclose(together, alone, atol=1e-7)

    def test_maximum_by_another_optimiser(self):
        """With the prior, too: some method always wins."""
        from scipy.optimize import minimize

        orders = np.array([[0, 1, 2], [0, 2, 1]])
        counts = np.array([5.0, 3.0])
        assert plackett_luce.separated(orders, counts[None])[0]

        def loss(theta):
            total = (theta**2).sum() / (2 * plackett_luce.PRIOR_SD**2)
            for order, count in zip(orders, counts, strict=True):
                for stage in range(2):
                    rest = theta[order[stage:]]
                    total -= count * (rest[0] - np.log(np.exp(rest).sum()))
            return total

        best = minimize(loss, np.zeros(3), method="BFGS", options={"gtol": 1e-10}).x
        ours = plackett_luce.fit(orders, counts[None])[0]
        assert ours == pytest.approx(best - best.mean(), abs=1e-5)
        assert np.isfinite(ours).all() and ours[0] == max(ours)

    def test_separation(self):
        cycle = np.array([[0, 1, 2], [1, 2, 0], [2, 0, 1]])
        weights = np.array([[1.0, 1, 1], [1, 0, 0], [1, 1, 0]])
        assert plackett_luce.separated(cycle, weights).tolist() == [False, True, False]

    def test_ties_are_left_out(self):
        votes = make_votes("ab", [("r", "c", (1.5, 1.5)), ("r", "d", (1, 2)), ("s", "c", (2, 1))])
        assert plackett_luce.patterns(votes).votes.tolist().count(-1) == 1
        assert plackett_luce.log_worths(votes)(np.ones((1, 3)))[0] == pytest.approx([0, 0])

    def test_nothing_is_nan(self):
        assert np.isnan(plackett_luce.fit(self.ORDERS, np.zeros((2, 4)))).all()


class TestAgreement:
    def test_reversed_raters(self):
        votes = make_votes("abcd", [("r", "c", (1, 2, 3, 4)), ("s", "c", (4, 3, 2, 1))])
        assert agreement.krippendorff_ordinal(votes) == pytest.approx(-0.75)

    def test_agreeing_raters(self):
        votes = make_votes("abcd", [("r", "c", (1, 2, 3, 4)), ("s", "c", (1, 2, 3, 4))])
        assert agreement.krippendorff_ordinal(votes) == pytest.approx(1)
        assert agreement.w_within_clips(votes) == pytest.approx(1)

    @pytest.mark.parametrize("seed", range(6))
    def test_is_krippendorffs_package(self, seed):
        """Also where some raters left some clips out."""
        krippendorff = pytest.importorskip("krippendorff")
        rng = np.random.default_rng(seed)
        votes = some_votes(seed)
        votes = votes.keep(rng.random(len(votes)) < 0.7)
        table = np.full((len(votes.raters), len(votes.clips) * 4), np.nan)
        for rater, clip, ranks in zip(votes.rater, votes.clip, votes.ranks, strict=True):
            table[rater, 4 * clip : 4 * clip + 4] = ranks
        theirs = krippendorff.alpha(reliability_data=table, level_of_measurement="ordinal")
        assert agreement.krippendorff_ordinal(votes) == pytest.approx(theirs, abs=1e-12)

    def test_undefined(self):
        one = make_votes("ab", [("r", "c", (1, 2)), ("r", "d", (2, 1))])
        assert agreement.krippendorff_ordinal(one) is None
        assert agreement.w_within_clips(one) is None
        assert agreement.agreement_with_rest(one) == {"r": None}

    def test_agreement_with_rest(self):
        votes = some_votes(1)
        found = agreement.agreement_with_rest(votes)
        own = votes.rater == 2
        others = np.array(
            [votes.ranks[(votes.clip == c) & ~own].mean(axis=0) for c in votes.clip[own]]
        )
        rho = scipy_stats.spearmanr(votes.ranks[own].ravel(), others.ravel()).statistic
        assert found["r2"] == pytest.approx(rho, abs=1e-9)

    def test_tau(self):
        a, b = np.array([1, 2, 3, 4]), np.array([2, 1, 4, 3])
        assert agreement.kendall_tau(a, b) == pytest.approx(scipy_stats.kendalltau(a, b).statistic)


class TestResample:
    def test_variance_of_the_mean(self):
        """For a mean over a full table the two-way variance has a closed form."""
        rng = np.random.default_rng(5)
        table = rng.normal(size=(12, 1)) + rng.normal(size=(1, 20)) + rng.normal(size=(12, 20))
        ranks = np.stack([np.where(table > 0, 1, 2), np.where(table > 0, 2, 1)], axis=2)
        votes = votes_from(ranks)
        found = estimate(votes, weighted_mean(votes.ranks[:, :1]), n_resamples=20_000)
        first = ranks[:, :, 0]
        by_rater = first.mean(axis=1).var(ddof=1) / 12
        by_clip = first.mean(axis=0).var(ddof=1) / 20
        each = first.var() / first.size
        assert found.se[0] ** 2 == pytest.approx(by_rater + by_clip - each, rel=0.05)

    def test_no_interval_without_clusters(self):
        one = some_votes(0, raters=1)
        assert np.isnan(estimate(one, weighted_mean(one.ranks)).se).all()
        summary = summarise(one, n_resamples=100)
        assert all(m["ci95"] is None and m["p_best"] is None for m in summary["methods"])

    def test_unanimous_votes(self):
        votes = votes_from(np.tile([1.0, 2, 3], (5, 6, 1)))
        summary = summarise(votes, n_resamples=200)
        best = summary["methods"][0]
        assert best["mean_rank"] == 1 and best["se"] == 0 and best["first"] == 1
        assert best["first_ci95"][0] == pytest.approx(0.5655, abs=1e-3)  # Wilson, 5 of 5
        assert summary["separated"] and best["log_worth"] > 1
        assert summary["krippendorff_alpha"] == pytest.approx(1)

    def test_same_seed_same_interval(self):
        votes = some_votes(3)
        assert summarise(votes, n_resamples=300) == summarise(votes, n_resamples=300)

    @pytest.mark.parametrize(
        ("rater_sd", "clip_sd", "raters", "clips"), [(0.5, 0.7, 15, 70), (1.0, 0.3, 6, 12)]
    )
    def test_coverage(self, rater_sd, clip_sd, raters, clips):
        """Intervals hold for new raters and clips; those of single votes are far too narrow."""
        worth = np.array([0.8, 0.2, -0.3, -0.7])
        rng = np.random.default_rng(11)
        truth = simulated_ranks(rng, worth, 700, 700, rater_sd, clip_sd).mean(axis=(0, 1))
        covered, naive = [], []
        for _ in range(80):
            votes = votes_from(simulated_ranks(rng, worth, raters, clips, rater_sd, clip_sd))
            found = estimate(votes, weighted_mean(votes.ranks), n_resamples=200)
            covered.append((found.low <= truth) & (truth <= found.high))
            half = 1.96 * votes.ranks.std(axis=0) / np.sqrt(len(votes))
            naive.append(np.abs(votes.ranks.mean(axis=0) - truth) <= half)
        assert 0.90 <= np.mean(covered) <= 0.99
        assert np.mean(naive) < 0.75


class TestSummary:
    def test_counts_wins_and_first_places(self):
        votes = some_votes(2)
        summary = summarise(votes, n_resamples=100)
        ranks = votes.ranks
        for i, row in enumerate(summary["methods"]):
            assert row["first"] == pytest.approx((ranks[:, i] == 1).mean())
            assert row["counts"] == [(ranks[:, i] == r).sum() for r in range(1, 5)]
        for i, j in itertools.permutations(range(4), 2):
            share = (ranks[:, i] < ranks[:, j]).mean()
            assert summary["wins"][i][j]["share"] == pytest.approx(share)

    def test_ties_share(self):
        votes = make_votes("ab", [("r", "c", (1.5, 1.5)), ("s", "c", (1, 2))])
        summary = summarise(votes, n_resamples=100)
        assert [m["first"] for m in summary["methods"]] == [0.75, 0.25]
        assert summary["wins"][0][1]["share"] == 0.75
        assert summary["methods"][0]["counts"] == [1.5, 0.5]

    def test_planted_order_is_found(self):
        summary = summarise(some_votes(7, raters=15, clips=70), n_resamples=300)
        ranked = sorted(summary["methods"], key=lambda m: m["mean_rank"])
        assert [m["method"] for m in ranked] == ["a", "b", "c", "d"]
        assert ranked[0]["rank"] == "1" and ranked[0]["p_best"] > 0.95

    def test_equal_methods_are_rarely_told_apart(self):
        """In one study of twenty at most; the two signed-rank tests together do so more often."""
        rng = np.random.default_rng(0)
        wrong = [told_apart(simulated_ranks(rng, np.zeros(2), 10, 20)) for _ in range(1000)]
        assert 0.015 <= np.mean(wrong) <= 0.065

    def test_two_way_test_of_a_full_table(self):
        """The bootstrap's p is that of the closed form."""
        for seed in range(5):
            votes = some_votes(seed, raters=8, clips=15, worth=(0.5, 0, -0.3))
            closed = told_apart(votes.ranks.reshape(8, 15, 3))
            pair = summarise(votes, n_resamples=4000)["pairs"][0]
            assert pair["different"] == closed or 0.03 < pair["p"] < 0.08

    def test_no_votes(self):
        empty = some_votes(0).keep(np.zeros(54, bool))
        assert summarise(empty) == {"votes": 0, "raters": 0, "clips": 0, "methods": [], "pairs": []}
