/* Streams, events and recorded graphs, as stream.cc and graph.cc share them. */
#ifndef KVGLASS_CUDAEMU_STREAM_H
#define KVGLASS_CUDAEMU_STREAM_H

#include <deque>
#include <memory>
#include <vector>

#include "tests/cudaemu/emulator.h"

struct work {
	std::string what;
	std::function<void()> run;
};

struct position { /* everything that was queued in a stream up to here */
	CUstream_st *stream;
	uint64_t count;
};
struct queued_work {
	work what;
	std::vector<position> after; /* other streams' work that comes first */
};

struct CUstream_st {
	std::deque<queued_work> queue;
	std::vector<position> wait; /* for the next work */
	uint64_t n_queued, n_done;
	bool blocking; /* takes turns with the null stream */
	bool alive;
	CUgraph_st *recording;
};

struct event_state { /* outlives its handle: work in a queue may still set it */
	CUstream_st *stream;
	uint64_t count;
	double ms; /* when it came to pass */
	bool timed, passed;
	CUgraph_st *recorded_in;
};
struct CUevent_st {
	std::shared_ptr<event_state> state;
};

struct CUgraph_st {
	std::vector<work> node;           /* in the order of the calls */
	CUstream_st *origin;
	std::vector<CUstream_st *> other; /* streams that joined by an event */
	std::vector<CUstream_st *> apart; /* those of them that the origin has not waited for since */
};
struct CUgraphExec_st {
	std::vector<work> node;
};

CUstream_st *stream_of(cudaStream_t handle); /* the null stream for 0; a fault when it is destroyed */
bool stream_any_recording(void);
void graph_add(CUstream_st *s, const work &w);
void graph_wait(CUstream_st *s, const event_state &e); /* s, recording or not, waits for an event of a recording */

#endif
