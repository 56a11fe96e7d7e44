/* The interface of the 6000A family around the scope of scope.c: other signatures, the same behaviour. */
#define API inner
#define RESOLUTION
#define TRIGGER_INFO
#include "scope.c"
#undef FN
#define FN(name) JOIN(ps6000a, name)

enum { CLEAR_ALL = 1, ADD = 2, TEN_BIT = 10 };

Status FN(EnumerateUnits)(int16_t *count, char *serials, int16_t *length) { return innerEnumerateUnits(count, serials, length); }
Status FN(OpenUnit)(int16_t *handle, char *serial, int32_t resolution) {
    if (resolution != 0 && resolution != 1 && resolution != TEN_BIT) { *handle = -1; return INVALID_PARAMETER; }
    return open_unit(handle, serial, resolution);
}
Status FN(CloseUnit)(int16_t h) { return innerCloseUnit(h); }
Status FN(PingUnit)(int16_t h) { return innerPingUnit(h); }
Status FN(GetUnitInfo)(int16_t h, char *text, int16_t length, int16_t *needed, int32_t what) {
    return innerGetUnitInfo(h, text, length, needed, (uint32_t)what);
}
Status FN(GetDeviceResolution)(int16_t h, uint32_t *resolution) { return innerGetDeviceResolution(h, (int32_t *)resolution); }
Status FN(GetAdcLimits)(int16_t h, uint32_t resolution, int16_t *least, int16_t *most) {
    UNIT("GetAdcLimits");
    *most = get("full_scale") ? (int16_t)get("full_scale") : resolution == 1 ? 32736 : resolution == TEN_BIT ? 32704 : 32512;
    *least = (int16_t)-*most;
    return OK;
}
Status FN(SetChannelOn)(int16_t h, uint32_t channel, uint32_t coupling, uint32_t range, double offset, uint32_t bandwidth) {
    if (bandwidth && bandwidth < 1000000) return INVALID_PARAMETER;
    return innerSetChannel(h, (int32_t)channel, 1, coupling == 50 ? 1 : (int32_t)coupling, (int32_t)range, (float)offset);
}
Status FN(SetChannelOff)(int16_t h, uint32_t channel) { return innerSetChannel(h, (int32_t)channel, 0, 1, 8, 0); }
Status FN(GetAnalogueOffsetLimits)(int16_t h, uint32_t range, uint32_t coupling, double *most, double *least) {
    float high = 0, low = 0;
    Status status = innerGetAnalogueOffset(h, (int32_t)range, (int32_t)coupling, &high, &low);
    *most = high; *least = low;
    return status;
}
Status FN(SetSimpleTrigger)(int16_t h, int16_t enable, uint32_t source, int16_t threshold, uint32_t direction, uint64_t delay, uint32_t auto_us) {
    Status status = innerSetSimpleTrigger(h, enable, source == 1001 ? 5 : (int32_t)source, threshold, (int32_t)direction, (uint32_t)delay, 0);
    *entry("trigger.auto_ms") = auto_us / 1000.0;
    return status;
}
Status FN(SigGenWaveform)(int16_t h, uint32_t wave, int16_t *buffer, uint16_t length) {
    UNIT("SigGenWaveform");
    (void)buffer; (void)length;
    *entry("generator.wave") = wave;
    return OK;
}
Status FN(SigGenRange)(int16_t h, double size, double offset) {
    UNIT("SigGenRange");
    *entry("generator.size") = size * 1e6; *entry("generator.offset") = offset * 1e6;
    return OK;
}
Status FN(SigGenFrequency)(int16_t h, double frequency) { UNIT("SigGenFrequency"); *entry("generator.frequency") = frequency; return OK; }
Status FN(SigGenApply)(int16_t h, int16_t on, int16_t sweep, int16_t trigger, int16_t optimise, int16_t override, double *a, double *b, double *c, double *d) {
    UNIT("SigGenApply");
    (void)sweep; (void)trigger; (void)optimise; (void)override;
    *entry("generator.on") = on;
    return a && b && c && d ? OK : INVALID_PARAMETER;
}
Status FN(GetTimebase)(int16_t h, uint32_t timebase, uint64_t samples, double *interval, uint64_t *most, uint64_t segment) {
    float found = 0;
    int32_t room = 0;
    Status status = innerGetTimebase2(h, timebase, (int32_t)samples, &found, &room, (uint32_t)segment);
    *interval = found; *most = (uint64_t)room;
    return status;
}
Status FN(MemorySegments)(int16_t h, uint64_t segments, uint64_t *most) {
    int32_t room = 0;
    Status status = innerMemorySegments(h, segments > UINT32_MAX ? UINT32_MAX : (uint32_t)segments, &room);
    *most = (uint64_t)room;
    return status;
}
Status FN(SetNoOfCaptures)(int16_t h, uint64_t captures) { return innerSetNoOfCaptures(h, (uint32_t)captures); }
Status FN(GetNoOfCaptures)(int16_t h, uint64_t *captures) {
    uint32_t found = 0;
    Status status = innerGetNoOfCaptures(h, &found);
    *captures = found;
    return status;
}
Status FN(SetDataBuffer)(int16_t h, uint32_t channel, int16_t *buffer, int32_t samples, uint32_t type, uint64_t waveform, uint32_t mode, uint32_t action) {
    if (type != 1 || mode || !(action & ADD)) return INVALID_PARAMETER;
    if (h < 1 || h > UNITS || !unit[h - 1].is_open) return INVALID_HANDLE;
    if ((action & CLEAR_ALL) && !(unit[h - 1].running && get("refuse_buffers"))) forget_buffers(&unit[h - 1]);
    return set_buffer(&unit[h - 1], (int32_t)channel, buffer, samples, (uint32_t)waveform);
}
Status FN(RunBlock)(int16_t h, uint64_t pre, uint64_t post, uint32_t timebase, double *indisposed, uint64_t segment, void *callback, void *context) {
    if (indisposed) *indisposed = 2;
    return innerRunBlock(h, (int32_t)pre, (int32_t)post, timebase, NULL, (uint32_t)segment, callback, context);
}
Status FN(IsReady)(int16_t h, int16_t *ready) { return innerIsReady(h, ready); }
Status FN(Stop)(int16_t h) { return innerStop(h); }
Status FN(GetValuesBulk)(int16_t h, uint64_t start, uint64_t *samples, uint64_t from, uint64_t to, uint64_t ratio, uint32_t mode, int16_t *overflow) {
    uint32_t n = (uint32_t)*samples;
    if (start) return INVALID_PARAMETER;
    Status status = innerGetValuesBulk(h, &n, (uint32_t)from, (uint32_t)to, (uint32_t)ratio, (int32_t)mode, overflow);
    *samples = n;
    return status;
}
#pragma pack(push, 1)
typedef struct { uint32_t status; uint64_t segment, index; double time; uint32_t units; uint64_t missed, counter; } WideTriggerInfo;
#pragma pack(pop)
Status FN(GetTriggerInfo)(int16_t h, WideTriggerInfo *info, uint64_t first, uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
        TriggerInfo one;
        Status status = innerGetTriggerInfoBulk(h, &one, (uint32_t)(first + i), (uint32_t)(first + i));
        if (status) return status;
        info[i] = (WideTriggerInfo){one.status, one.segment, one.index, (double)one.time, 2, 0, one.counter};
    }
    return OK;
}
Status FN(GetValuesTriggerTimeOffsetBulk)(int16_t h, int64_t *times, int32_t *units, uint64_t from, uint64_t to) {
    return innerGetValuesTriggerTimeOffsetBulk64(h, times, units, (uint32_t)from, (uint32_t)to);
}
