"""From a plan and prepared cases to a trained net.

One loop serves every regime: it owns devices, precision, the clock, checkpoints and curves; a regime only says which
losses a batch gives. Everything random is drawn from (seed, step, sample), so that a run that was stopped goes on as
if nothing had happened.

Read in this order:

- `settings`: TrainingSettings, what a person may change
- `regime`: Regime, what batches teach and to whom; `regimes/` holds them
- `job`: Job, what a training is to do and how far
- `sampler`: which patches are learned from, in which streams
- `data`: batches of them, augmented and encoded a few steps ahead
- `accelerator`: what keeps a GPU from waiting for them
- `optim`: optimisers, schedules by progress, the average of the weights
- `transfer`: starting from another training, frozen parts, learning rates by part
- `clock`: progress by steps or by time
- `compiling`: whether torch.compile pays for the steps that are left
- `patches`: which voxels of the training patches were answered rightly
- `validation`: scores of whole prepared cases, and how often
- `plateau`: when the score of those rounds has stopped rising
- `quiet`: seeds, repeatable operations, and ending in order when interrupted
- `checkpoint`: weights and facts in one file, written atomically
- `ranks`: several devices that train one net together
- `monitor`: curves.csv and TensorBoard
- `learner`: what learns, and one step of it
- `loop`: fit, which brings them together
"""
