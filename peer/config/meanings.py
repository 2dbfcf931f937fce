"""What each key and section of `run.toml` means; what a key may hold comes from its type."""

SECTION_MEANINGS: dict[str, str] = {
    "model": (
        "The model: a decoder-only transformer (RMSNorm, RoPE, SwiGLU, tied embedding), or one of "
        "transformers."
    ),
    "tokenizer": "How text becomes tokens.",
    "data": (
        'The training text: one source, or a mixture. `data = "python"` above the first section is short for '
        "such a [data]."
    ),
    "inner": "The inner optimiser, which trains on this host alone: with warm-up, cosine and clipping.",
    "outer": "The outer rule: how a peer lines up with the others.",
    "onebyte": "The preset onebyte, which has neither inner optimiser nor outer rule.",
    "task": (
        "A task of an installed plug-in, with its own model, data, loss and evaluation, in place of [model], "
        "[tokenizer] and [data], of which only data.shards counts then."
    ),
}

KEY_MEANINGS: dict[str, str] = {
    "name": "A name for people; two runs may share it.",
    "seed": "Seed of the first weights and of the order of the data.",
    "codecs": (
        'How tensors may be written in an exchange, the preferred first. "auto" alone chooses for each link.'
    ),
    "modulo_bits": 'Bits a value that the codec "modulo" sends. With fewer than 3, mixes drive peers apart.',
    "model.kind": (
        '"builtin": made of the numbers below. "hf": a causal language model of transformers, from '
        "model.source; of the numbers below only context counts, and its own tokenizer is used."
    ),
    "model.source": (
        "The base model: a folder, relative to this file's, or its name on the Hugging Face Hub. Safetensors "
        "only. Every peer brings its own copy; peers compare its hashes."
    ),
    "model.revision": "Branch, tag or commit on the Hub; the manifest pins the commit.",
    "model.lora": (
        "Train low-rank adapters (arXiv 2106.09685) in place of all weights: only they are shared and kept. "
        "Left out, all weights are trained. Without targets, every matrix but the output projection gets one."
    ),
    "model.layers": "Transformer blocks.",
    "model.width": "Channels of the residual stream; an even multiple of heads.",
    "model.heads": "Attention heads of a block.",
    "model.hidden": "Channels inside a block's feed-forward part.",
    "model.context": "Tokens of one sequence.",
    "model.rope_base": "Base of the rotary position embedding's wavelengths.",
    "model.path": (
        "A safetensors file with the first weights, relative to this file's folder; left out, they come from "
        "the seed. It stays on this host: peers compare its hash."
    ),
    "tokenizer.kind": '"bytes": every byte is a token. "file": a Hugging Face tokenizer.json.',
    "tokenizer.vocabulary": "Tokens that the tokenizer knows: 256 for bytes, the file's own number else.",
    "tokenizer.path": (
        "The tokenizer file, relative to this file's folder. It stays on this host: peers compare its hash."
    ),
    "data.source": (
        '"shakespeare" comes with the program; "python" is the source of Python and PyTorch on this host; '
        '"text" is a UTF-8 file or a folder of them; "tokens" is a file of tokens; "hf" is a data set of '
        'Hugging Face\'s `datasets`, read while training goes on; "mixture" draws from several, see mixture.'
    ),
    "data.path": (
        "The text, folder or token file, relative to this file's folder. It stays on this host: peers "
        "compare its hash."
    ),
    "data.dataset": (
        "The data set to stream: a folder or file, relative to this file's folder, or its name on the "
        "Hugging Face Hub, with its organisation. Parquet, JSON lines, CSV, Arrow or text; no code of it is "
        "ever run."
    ),
    "data.subset": "What `datasets` calls the name of a configuration, where a data set has several.",
    "data.split": "The part of the data set to train on.",
    "data.held_out_split": (
        "A part of the data set that nobody trains on, for the evaluation. Left out, it is the share "
        "held_out of the rows."
    ),
    "data.column": "The column that has the text.",
    "data.revision": "Branch, tag or commit on the Hub; the manifest pins the commit.",
    "data.end": (
        "The token that follows the text of each row, as the tokenizer writes it. Left out, it is the "
        "tokenizer's own for it; with bytes it is 255, which is in no UTF-8 text."
    ),
    "data.shuffle": (
        "Sequences of a stream that are read before their order is drawn; 1 leaves them as they come."
    ),
    "data.mixture": (
        "Several sources in place of one: each has a source with its keys as above, and a weight: of all "
        "sequences, the part that comes from it is its weight over the sum of all weights."
    ),
    "data.held_out": "Share of the text that no peer trains on; the loss is evaluated there.",
    "data.shards": "Parts into which the text is dealt; peers with different parts never read the same.",
    "inner.kind": (
        'The optimiser. "muon": Muon on the hidden matrices, AdamW on the rest. "sgd": no momentum, for '
        "small batches."
    ),
    "inner.learning_rate": "Peak learning rate.",
    "inner.final_ratio": "Learning rate at the end of the cosine, as a share of the peak.",
    "inner.warmup": "Inner steps over which the learning rate rises to its peak; at most steps.",
    "inner.steps": "Inner steps until the end of the cosine; beyond it the rate stays.",
    "inner.beta1": "AdamW's decay of the gradient's mean, per step.",
    "inner.beta2": "AdamW's decay of the gradient's square, per step.",
    "inner.weight_decay": "AdamW's decoupled weight decay.",
    "inner.clip": "Largest norm of a gradient; a larger one is scaled down to it.",
    "inner.batch": "Sequences of one inner step.",
    "inner.precision": '"auto" computes in bf16 where the device does so natively, and in fp32 elsewhere.',
    "outer.preset": (
        '"noloco": pairs average their weights (arXiv 2506.10911). "gossip": the same, three times an '
        'outer step and with more momentum. "diloco": all who are ready average their weights (2311.08105). '
        '"streaming-gossip", "streaming-diloco" (2501.18512): the same, a fragment of the model at a time. '
        '"solo": no exchange. "onebyte": fine-tunes with forward passes only (2306.10015), see [onebyte].'
    ),
    "outer.every": "H: inner steps between two outer steps.",
    "outer.alpha": "Outer momentum.",
    "outer.beta": "Outer learning rate. Refused where peers would drift apart without bound.",
    "outer.overlap": "Whether to train on while an exchange is in flight; the NoLoCo paper waits for it.",
    "outer.seeks": "Exchanges that an outer step seeks; it answers others all the same.",
    "outer.mixes": "The most exchanges that one outer step takes part in, sought or answered.",
    "outer.group": "The most peers in one mix; above 2, all who are ready within a window, up to so many.",
    "outer.fragments": (
        "Parts of the model, each with outer steps of its own; a streaming preset makes one of three layers, "
        "and at least 2."
    ),
    "outer.landing": (
        '"add": a mix is added to the weights of the moment. "blend": at a mix these move towards the slow '
        'weights (Streaming DiLoCo), as far as keep says. "blend_by_delay": the earlier, the further.'
    ),
    "outer.keep": 'What "blend" keeps of the weights of the moment, and "blend_by_delay" at most.',
    "outer.warming": "Outer steps after which the outer momentum is near half; it grows until it is alpha.",
    "outer.weights": "What each share counts for in an average: the same, or the tokens trained for it.",
    "onebyte.epsilon": "Size of a perturbation: each weight moves by so much, up or down.",
    "onebyte.learning_rate": "How far one perturbation moves the weights, for a slope of 1.",
    "onebyte.samples": "Perturbations of one inner step, each a byte on the wire.",
    "task.name": (
        "The task's entry point in the group murmuration.tasks. Every peer needs the same plug-in; the "
        "manifest pins its package, version and source."
    ),
    "task.settings": "What the task is made with, as its own documentation says.",
}
