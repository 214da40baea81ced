/* Streams: queues whose work is put off until somebody waits for it, and then done as late and as little as the rules allow, so
 * that a wait that is missing shows. */
#include "tests/cudaemu/stream.h"

#include <time.h>

std::recursive_mutex cudaemu_lock;
const char *cudaemu_running;

static std::vector<std::unique_ptr<CUstream_st>> streams; /* never removed: a handle is never used twice */
static CUstream_st null_stream = {{}, {}, 0, 0, true, true, NULL};

CUstream_st *stream_of(cudaStream_t handle)
{
	if (!handle || handle == cudaStreamLegacy)
		return &null_stream;
	if (!handle->alive)
		cudaemu_fault("stream", "a stream is used that was destroyed");
	return handle;
}

bool stream_any_recording(void)
{
	for (const auto &s : streams)
		if (s->recording)
			return true;
	return false;
}

bool cudaemu_capturing(cudaStream_t stream)
{
	return stream_of(stream)->recording != NULL;
}

cudaError_t cudaemu_may_wait(const char *call, cudaStream_t stream)
{
	(void)call;
	CUstream_st *s = stream_of(stream);
	if (s->recording)
		return cudaemu_return(cudaErrorStreamCaptureUnsupported);
	return cudaemu_return(s == &null_stream && stream_any_recording() ? cudaErrorStreamCaptureImplicit : cudaSuccess);
}

/* ---- queues ------------------------------------------------------------------------------------------------------------- */

void cudaemu_queue(cudaStream_t stream, const std::string &what, const std::function<void()> &run)
{
	CUstream_st *s = stream_of(stream);
	if (s->recording) {
		graph_add(s, {what, run});
		return;
	}
	if (s == &null_stream && stream_any_recording())
		cudaemu_fault("capture", "%s goes to the null stream while another stream is recorded", what.c_str());
	queued_work q = {{what, run}, {}};
	q.after.swap(s->wait);
	if (s != &null_stream && s->blocking)
		q.after.push_back({&null_stream, null_stream.n_queued});
	for (const auto &other : streams)
		if (s == &null_stream && other->blocking)
			q.after.push_back({other.get(), other->n_queued});
	s->queue.push_back(q);
	s->n_queued++;
}

static void run_until(CUstream_st *s, uint64_t count);

static void run_next(CUstream_st *s)
{
	queued_work q = s->queue.front();
	for (const position &p : q.after)
		run_until(p.stream, p.count);
	s->queue.pop_front();
	cudaemu_running = q.what.what.c_str();
	q.what.run();
	cudaemu_running = NULL;
	s->n_done++;
}

static void run_until(CUstream_st *s, uint64_t count)
{
	while (s->n_done < count)
		run_next(s);
}

static void finish(CUstream_st *s, uint64_t count)
{
	if (s->n_done >= count)
		return;
	cudaemu_open_memory();
	run_until(s, count);
	cudaemu_close_memory();
}

void cudaemu_finish(cudaStream_t stream)
{
	CUstream_st *s = stream_of(stream);
	finish(s, s->n_queued);
	for (const position &p : s->wait)
		finish(p.stream, p.count);
}

void cudaemu_finish_all(void)
{
	for (const auto &s : streams)
		finish(s.get(), s->n_queued);
	finish(&null_stream, null_stream.n_queued);
}

static void drop(CUstream_st *s)
{
	s->queue.clear();
	s->wait.clear();
	s->n_done = s->n_queued;
}

void cudaemu_drop_all(void)
{
	for (const auto &s : streams)
		drop(s.get());
	drop(&null_stream);
}

/* Somebody asks again and again: one piece of work is done each time, so that he gets on. */
static cudaError_t query(CUstream_st *s, uint64_t count)
{
	if (s->n_done < count)
		finish(s, s->n_done + 1);
	return s->n_done < count ? cudaErrorNotReady : cudaSuccess;
}

/* ---- streams -------------------------------------------------------------------------------------------------------------- */

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *out, unsigned flags)
{
	cudaemu_guard guard(cudaemu_lock);
	cudaError_t error = cudaemu_enter("cudaStreamCreate");
	if (error)
		return error;
	streams.emplace_back(new CUstream_st{{}, {}, 0, 0, flags != cudaStreamNonBlocking, true, NULL});
	*out = streams.back().get();
	return cudaSuccess;
}

cudaError_t cudaStreamCreate(cudaStream_t *out)
{
	return cudaStreamCreateWithFlags(out, cudaStreamDefault);
}

cudaError_t cudaStreamCreateWithPriority(cudaStream_t *out, unsigned flags, int)
{
	return cudaStreamCreateWithFlags(out, flags);
}

cudaError_t cudaStreamDestroy(cudaStream_t stream)
{
	cudaemu_guard guard(cudaemu_lock);
	cudaError_t error = cudaemu_enter("cudaStreamDestroy");
	if (!error)
		cudaemu_finish(stream);
	stream_of(stream)->alive = false;
	return error;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream)
{
	cudaemu_guard guard(cudaemu_lock);
	cudaError_t error = cudaemu_enter("cudaStreamSynchronize");
	if (!error)
		error = cudaemu_may_wait("cudaStreamSynchronize", stream);
	if (!error)
		cudaemu_finish(stream);
	return error;
}

cudaError_t cudaStreamQuery(cudaStream_t stream)
{
	cudaemu_guard guard(cudaemu_lock);
	cudaError_t error = cudaemu_enter("cudaStreamQuery");
	return error ? error : query(stream_of(stream), stream_of(stream)->n_queued);
}

cudaError_t cudaDeviceSynchronize(void)
{
	cudaemu_guard guard(cudaemu_lock);
	cudaError_t error = cudaemu_enter("cudaDeviceSynchronize");
	if (!error && stream_any_recording())
		error = cudaemu_return(cudaErrorStreamCaptureUnsupported);
	if (!error)
		cudaemu_finish_all();
	return error;
}

cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void *user)
{
	cudaemu_guard guard(cudaemu_lock);
	cudaError_t error = cudaemu_enter("cudaLaunchHostFunc");
	if (!error)
		cudaemu_queue(stream, "cudaLaunchHostFunc", [=] { function(user); });
	return error;
}

/* ---- events ------------------------------------------------------------------------------------------------------------------ */

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *out, unsigned flags)
{
	cudaemu_guard guard(cudaemu_lock);
	cudaError_t error = cudaemu_enter("cudaEventCreate");
	if (error)
		return error;
	*out = new CUevent_st{std::make_shared<event_state>(event_state{NULL, 0, 0, !(flags & cudaEventDisableTiming), false, NULL})};
	return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t *out)
{
	return cudaEventCreateWithFlags(out, cudaEventDefault);
}

cudaError_t cudaEventDestroy(cudaEvent_t event)
{
	cudaemu_guard guard(cudaemu_lock);
	cudaError_t error = cudaemu_enter("cudaEventDestroy");
	delete event;
	return error;
}

static double now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream)
{
	cudaemu_guard guard(cudaemu_lock);
	cudaError_t error = cudaemu_enter("cudaEventRecord");
	if (error)
		return error;
	std::shared_ptr<event_state> state = event->state;
	CUstream_st *s = stream_of(stream);
	state->stream = s;
	state->recorded_in = s->recording;
	if (s->recording)
		return cudaSuccess;
	state->passed = false;
	cudaemu_queue(stream, "cudaEventRecord", [=] {
		state->ms = now_ms();
		state->passed = true;
	});
	state->count = s->n_queued;
	return cudaSuccess;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned)
{
	cudaemu_guard guard(cudaemu_lock);
	cudaError_t error = cudaemu_enter("cudaStreamWaitEvent");
	const event_state &e = *event->state;
	CUstream_st *s = stream_of(stream);
	if (error || !e.stream)
		return error;
	if (e.recorded_in)
		graph_wait(s, e);
	else if (s->recording)
		return cudaemu_return(cudaErrorStreamCaptureUnsupported); /* waits for work outside of the recording */
	else
		s->wait.push_back({e.stream, e.count});
	return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event)
{
	cudaemu_guard guard(cudaemu_lock);
	cudaError_t error = cudaemu_enter("cudaEventSynchronize");
	if (!error && event->state->stream)
		finish(event->state->stream, event->state->count);
	return error;
}

cudaError_t cudaEventQuery(cudaEvent_t event)
{
	cudaemu_guard guard(cudaemu_lock);
	cudaError_t error = cudaemu_enter("cudaEventQuery");
	return error || !event->state->stream ? error : query(event->state->stream, event->state->count);
}

cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t begin, cudaEvent_t end)
{
	cudaemu_guard guard(cudaemu_lock);
	cudaError_t error = cudaemu_enter("cudaEventElapsedTime");
	if (error)
		return error;
	if (!begin->state->timed || !end->state->timed)
		return cudaemu_return(cudaErrorInvalidResourceHandle);
	if (!begin->state->passed || !end->state->passed)
		return cudaErrorNotReady;
	*ms = (float)(end->state->ms - begin->state->ms);
	return cudaSuccess;
}
