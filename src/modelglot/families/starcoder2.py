"""starcoder2: layer norms and biases, a feed-forward without gate."""

from modelglot.families import llama
from modelglot.families.family import Family, rule
from modelglot.families.hyperparameters import COMMON, named

FAMILY = Family(
    name="starcoder2",
    arch="starcoder2",
    models=("Starcoder2ForCausalLM",),
    model_type="starcoder2",
    rules=(
        *llama.LAYERS,
        *llama.PLAIN_QK,
        rule("model.layers.{i}.mlp.c_fc", "blk.{i}.ffn_up"),
        rule("model.layers.{i}.mlp.c_proj", "blk.{i}.ffn_down"),
    ),
    keys=named(COMMON, attention__layer_norm_epsilon="norm_epsilon"),
    defaults={
        "num_key_value_heads": 2,
        "norm_epsilon": 1e-5,
        "rope_theta": 10000.0,
        "max_position_embeddings": 4096,
        "tie_word_embeddings": True,
    },
    fixed={"hidden_act": "gelu_pytorch_tanh", "use_bias": True, "sliding_window": None},
    ignore=llama.DERIVED,
    losses=llama.losses,
    sentencepiece=False,
)
