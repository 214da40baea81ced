/* Recorded work. A graph's work holds the arguments of its calls as they were, so what changes from launch to launch must come from
 * device memory, as on a real device. */
#include <algorithm>

#include "tests/cudaemu/stream.h"

static void remove(std::vector<CUstream_st *> &list, CUstream_st *s)
{
	list.erase(std::remove(list.begin(), list.end(), s), list.end());
}

void graph_add(CUstream_st *s, const work &w)
{
	CUgraph_st *g = s->recording;
	g->node.push_back(w);
	if (s != g->origin && std::find(g->apart.begin(), g->apart.end(), s) == g->apart.end())
		g->apart.push_back(s);
}

void graph_wait(CUstream_st *s, const event_state &e)
{
	CUgraph_st *g = e.recorded_in;
	if (!s->recording) {
		s->recording = g;
		g->other.push_back(s);
	} else if (s->recording != g) {
		cudaemu_fault("capture", "a stream that is recorded waits for another recording");
	}
	if (s == g->origin)
		remove(g->apart, e.stream);
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode)
{
	cudaemu_guard guard(cudaemu_lock);
	cudaError_t error = cudaemu_enter("cudaStreamBeginCapture");
	if (error)
		return error;
	if (stream_of(stream) == stream_of(NULL) || stream_of(stream)->recording)
		return cudaemu_return(cudaErrorStreamCaptureUnsupported);
	stream->recording = new CUgraph_st{{}, stream, {}, {}};
	return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *out)
{
	cudaemu_guard guard(cudaemu_lock);
	cudaError_t error = cudaemu_enter("cudaStreamEndCapture");
	CUgraph_st *g = stream_of(stream)->recording;
	*out = NULL;
	if (!g || g->origin != stream)
		return error ? error : cudaemu_return(cudaErrorInvalidValue);
	bool joined = g->apart.empty();
	stream->recording = NULL;
	for (CUstream_st *s : g->other)
		s->recording = NULL;
	if (error || !joined) {
		delete g;
		return error ? error : cudaemu_return(cudaErrorStreamCaptureUnjoined);
	}
	*out = g;
	return cudaSuccess;
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus *out)
{
	cudaemu_guard guard(cudaemu_lock);
	*out = stream_of(stream)->recording ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone;
	return cudaemu_enter("cudaStreamIsCapturing");
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *out, cudaGraph_t graph, unsigned long long)
{
	cudaemu_guard guard(cudaemu_lock);
	cudaError_t error = cudaemu_enter("cudaGraphInstantiate");
	if (!error)
		*out = new CUgraphExec_st{graph->node};
	return error;
}

cudaError_t cudaGraphUpload(cudaGraphExec_t, cudaStream_t)
{
	cudaemu_guard guard(cudaemu_lock);
	return cudaemu_enter("cudaGraphUpload");
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream)
{
	cudaemu_guard guard(cudaemu_lock);
	cudaError_t error = cudaemu_enter("cudaGraphLaunch");
	for (size_t i = 0; !error && i < exec->node.size(); i++)
		cudaemu_queue(stream, exec->node[i].what + " (of a graph)", exec->node[i].run);
	return error;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph)
{
	cudaemu_guard guard(cudaemu_lock);
	cudaError_t error = cudaemu_enter("cudaGraphDestroy");
	delete graph;
	return error;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec)
{
	cudaemu_guard guard(cudaemu_lock);
	cudaError_t error = cudaemu_enter("cudaGraphExecDestroy");
	delete exec;
	return error;
}
