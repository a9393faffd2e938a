"""One solution of lesson 8's exercises: proof that its checks can be passed."""

import torch


def keep_min_p(logits, share):
    shares = torch.softmax(logits, dim=-1)
    return logits.masked_fill(shares < share * shares.max(dim=-1, keepdim=True).values, -torch.inf)


def cache_bytes(shape, batch, bytes_for_each=4):
    return 2 * shape.layers * batch * shape.context * shape.width * bytes_for_each


def beam_search(log_probabilities, start, count, width):
    beams = [(0.0, list(start))]
    for _ in range(count):
        longer = [
            (total + more, [*sequence, token])
            for total, sequence in beams
            for token, more in enumerate(log_probabilities(sequence).tolist())
        ]
        beams = sorted(longer, reverse=True)[:width]
    return beams[0][1]


def speculative_step(target, draft, token, generator):
    if torch.rand((), generator=generator) < target[token] / draft[token]:
        return token
    return int(torch.multinomial((target - draft).clamp(min=0), 1, generator=generator))
