/* Attention of one query row in double precision, from its definition: the oracle of every backend's kernels. */
#ifndef KVGLASS_TESTS_PLAIN_ATTENTION_H
#define KVGLASS_TESTS_PLAIN_ATTENTION_H

struct plain_attention {
	int n_head, n_kv_head, d, n;
	const float *q, *k, *v; /* (n_head, n, d), (n_kv_head, n, d) */
};

/* Probabilities p (n), zero behind the row itself, and, where out is given, the weighted values (d). */
void plain_attention_row(const struct plain_attention *a, int head, int row, double *p, double *out);

#endif
