/* Every tolerance of the tests, each with its reason. Relative ones are relative to the largest value of the row. */
#ifndef KVGLASS_TESTS_TOLERANCE_H
#define KVGLASS_TESTS_TOLERANCE_H

#define TOL_VECTOR 1e-6     /* expected vectors have six decimals of float64 results: half a unit, and float32 rounding */
#define TOL_MEAN_ABS 2e-5   /* attention means against transformers float32: 30 layers of differently ordered float32 sums */
#define TOL_MEAN_REL 1e-3   /* the same, relative to the largest mean of the row */
#define TOL_LOGIT 2e-3      /* logits of magnitude 20: 30 layers, 49152 dot products of 576, float32 */
#define TOL_MARGIN 1e-3     /* a greedy choice closer than this may differ: half of what two logits may be off, and float32 order */
#define TOL_ATTENDED_BF16 4e-2 /* the same with q, k, v and weights rounded to 8 bits: scores of magnitude 4 move by 2^-9 each, a few times */
#define TOL_BF16_REL 2e-2   /* operands with 8 bits (2^-9 each), a few layers: root mean square of logits, and means */
#define TOL_BF16_TRAINED_REL 5e-2 /* losses of the next updates with such weights: Adam turns each difference of a gradient into one of a step */
#define TOL_NORM_REL 2e-5   /* norms of cached keys and values, relative to the row's largest: float32 states after many layers */
#define TOL_ROW_SUM 1e-5    /* a float32 softmax over 8192 keys sums to 1 within n * eps / 2 in the worst case */
#define TOL_GOLDEN 5e-7    /* shares kept as float32 against float64, and their ratio */
#define TOL_CURVE 1.2e-7    /* a value of magnitude 1 stored as float32: one unit in the last place */
#define TOL_ATTENDED 5e-5   /* weighted values of magnitude 3: two float32 scores of magnitude 100 (eps 8e-6 each) and a sum of 64 between them */
#define TOL_SUM_REL 1e-6     /* float32 sums of up to some thousand terms in 8 to 32 lanes, relative to the sum of magnitudes */
#define TOL_LIFT 1e-5       /* lifts up to 1000 as float32 (eps 6e-5), a mean over hundreds of candidates that should be 1 */
#define TOL_ROPE 2.5e-7     /* rotary frequencies, relative: PyTorch's vector power is within one unit of the correctly rounded one, and
                             * up to one more rounding of difference follows */
#define TOL_LOSS 1e-5       /* mean KL of float32 attention against double */
#define TOL_GRADIENT 1e-4   /* of a tensor's gradient norm: differences of step 4e-3 (error of their third order) and float32 sums */
#define TOL_TRAINED 2e-5    /* losses of a few updates: Adam moves by the sign of gradients that are near nothing, and rounding can turn it */
#define TOL_F64_SUM 1e-12   /* sums of some hundred float64 terms that add up to about 1, in another order */
#define TOL_EPS 1.2e-7      /* one float32 rounding, relative */
#define TOL_BF16_ROUND 3.9e-3 /* one rounding to bfloat16 (2^-9), of a float32 that may itself fall to the other side of it */
#define TOL_ROTATED 5e-6    /* elements of magnitude 10 after a norm and two float32 products */
#define TOL_CAPTURED_BF16 2e-3 /* probabilities of scores whose queries were rounded to 8 bits after their factor: each off by 2^-9 of it,
                             * for scores of deviation 1; more in proportion */
#define TOL_NOTHING 1e-35   /* where float32 ends: a sum or exponential that small may vanish */
#define TOL_EXACT 0.0       /* decoding of stored types: both sides do the same float32 operations */

#endif
