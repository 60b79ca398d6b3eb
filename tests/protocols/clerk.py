"""A clerk who hands out tasks from a dictionary and lists: the twin of `orders.hand_out`."""

import numpy as np

FOREVER = 2**31 - 1


class Clerk:
    """Remembers of each place: number, owner, until, since, barred; gives out orders by an auction and claims."""

    def __init__(self, lease: int, eps: float, rounds: int):
        self.book, self.lease, self.eps, self.rounds = {}, lease, np.float32(eps), rounds

    def row(self, place):
        return self.book.setdefault(place, dict(number=-1, owner=-1, until=-1, since=-1, barred=-1))

    def hand_out(self, t, slips):
        """Slips are (who, [(place, number, worth, eta)], last, begun) in the order in which they lie there; the answers
        are (place, number, until)."""
        for who, _, last, begun in slips:
            if who >= 0 and last >= 0 and begun >= self.row(last)["number"]:
                self.row(last).update(number=begun, until=FOREVER)
        answers, wants, released = [(-1, -1, -1)] * len(slips), {}, []
        for index, (who, options, _, _) in enumerate(slips):
            allowed = []
            for place, number, worth, eta in options if who >= 0 else []:
                row = self.row(place) if place >= 0 else None
                if row is None or worth <= 0 or number < row["number"]:
                    continue
                if row["number"] < number:
                    allowed.append((place, number, worth, eta))
                    continue
                mine = row["owner"] == who and row["until"] < FOREVER
                if mine and row["since"] == t:
                    answers[index] = (place, number, row["until"])
                elif mine:
                    released.append((place, who, row["until"] < t))
                    if row["until"] >= t and row["barred"] != who:
                        allowed.append((place, number, worth, eta))
                elif row["until"] < t and row["barred"] != who:
                    allowed.append((place, number, worth, eta))
            if answers[index] == (-1, -1, -1):
                wants[index] = allowed
        for place, who, late in released:
            row = self.row(place)
            row.update(owner=-1, until=-1, barred=who if late else row["barred"])
        for index, (place, number, _, eta) in self.sold(wants).items():
            row, until = self.row(place), t + int(np.ceil(eta)) + self.lease
            barred = row["barred"] if row["number"] == number else -1
            self.book[place] = dict(number=number, owner=slips[index][0], until=until, since=t, barred=barred)
            answers[index] = (place, number, until)
        return answers

    def sold(self, wants):
        price, owner, has, idle = {}, {}, {}, set()
        for _ in range(self.rounds):
            bids = {}
            for index, options in wants.items():
                if index in has or index in idle:
                    continue
                nets = [(np.float32(worth - price.get(place, np.float32(0))), -place) for place, _, worth, _ in options]
                best, place = max(nets, default=(0, 0))
                if best <= 0:
                    idle.add(index)
                    continue
                other = max([net for net, p in nets if p != place] + [np.float32(0)])
                bids.setdefault(-place, []).append(
                    (price.get(-place, np.float32(0)) + (best - other) + self.eps, -index)
                )
            for place, offers in bids.items():
                price[place], index = max(offers)
                has.pop(owner.get(place), None)
                owner[place], has[-index] = -index, place
        while True:
            claims = {}
            for index, options in wants.items():
                free = [(worth, -place) for place, _, worth, _ in options if place not in owner]
                if index not in has and free:
                    worth, place = max(free)
                    claims.setdefault(-place, []).append((worth, -index))
            if not claims:
                break
            for place, offers in claims.items():
                owner[place] = -max(offers)[1]
                has[owner[place]] = place
        return {i: next(option for option in wants[i] if option[0] == place) for i, place in has.items()}
