/* Scoring: from a map's rows to one score per position for every unit that chooses tokens.
 *
 * A unit is a KV head, or a query head when the group is not reduced (REDUCE_NONE). Order of the steps: rows
 * of the group's query heads -> [per visible rows] -> reduce, pool (or pool, reduce) -> value weight. Pooling is
 * PyTorch's max_pool1d and avg_pool1d, as every implementation has it: centred, stride 1, over the first n - window
 * positions when the window is cut; what lies outside counts as absent for max and as 0 with the full divisor for avg. A score.<method> map is taken as
 * it is: it has one value per KV head and is never pooled.
 */
#ifndef KVGLASS_ANALYSIS_SCORING_H
#define KVGLASS_ANALYSIS_SCORING_H

#include "analysis/capture.h"
#include "analysis/protocol.h"

struct score_job {
	const struct capture *capture;
	const struct capture_map *map;
	const struct capture_map *value; /* score.value_* map when how.value asks for one */
	struct scoring how;
	int window;  /* last positions that are cut */
	bool shared; /* mean over all heads of the layer, the same for every unit */
};
/* Units of a layer: n_head or n_kv_head. */
int scoring_n_unit(const struct capture *c, const struct scoring *how);
/* Fills the job's value map; ERR_USE names the tensor that how.value needs and the capture lacks. */
int scoring_prepare(struct score_job *job, struct err *e);
/* out (n_prompt): scores of one unit; 0 at positions that are cut. scratch: (3 * n_prompt) doubles. Pure, any thread. */
void scoring_unit(const struct score_job *job, int layer, int unit, double *scratch, float *out);

/* The first n values of one row of the job's map (query head, or KV head of a score map), corrected for visible
 * rows if asked for. */
void scoring_row(const struct score_job *job, int layer, int head, int n, double *out);

#endif
