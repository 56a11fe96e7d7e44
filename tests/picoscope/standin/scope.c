/* A scope that does not exist, behind the functions a vendor's library exports.
 *
 * One source for three interfaces: compiled with -DAPI=ps3000a and, as the family has them, -DOVERSAMPLE, -DRESOLUTION,
 * -DTRIGGER_INFO, -DPOWER. It answers wrong order with the status a scope gives, writes registered lengths only, counts calls,
 * and follows a script set by fake_set() or the environment variable MIMODAQ_FAKE_SCOPE ("rate=100,unplug_after=300").
 * "cable=PATH" in that variable: it is plugged in as long as that file exists, whoever removes it.
 */
#define _GNU_SOURCE
#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define JOIN2(a, b) a##b
#define JOIN(a, b) JOIN2(a, b)
#define TEXT2(a) #a
#define TEXT(a) TEXT2(a)
#define FN(name) JOIN(API, name)
typedef uint32_t Status;

enum {
    OK = 0, NOT_FOUND = 3, NOT_RESPONDING = 7, INVALID_HANDLE = 0xC, INVALID_PARAMETER = 0xD, INVALID_TIMEBASE = 0xE,
    INVALID_RANGE = 0xF, INVALID_CHANNEL = 0x10, TOO_MANY_SAMPLES = 0x1D, TOO_MANY_SEGMENTS = 0x1E, SAMPLING = 0x24,
    NO_SAMPLES = 0x25, SEGMENT_OUT_OF_RANGE = 0x26, NOT_USED = 0x3F, NOT_ENOUGH_SEGMENTS = 0x42, NO_BUFFER = 0x46,
    NO_SUPPLY = 0x11A
};

#define CHANNELS 4
#define UNITS 4
#define MEMORY 128000000
#define MOST_SEGMENTS 250000

/* -- script -------------------------------------------------------------------------------------------------------- */

typedef struct { char name[40]; double value; } Entry;
static Entry script[256];
static int entries;

static double *entry(const char *name) {
    for (int i = 0; i < entries; i++)
        if (!strcmp(script[i].name, name)) return &script[i].value;
    if (entries == 256) abort();
    snprintf(script[entries].name, sizeof script[entries].name, "%s", name);
    script[entries].value = 0;
    return &script[entries++].value;
}
#define AT(name) (*({ static double *place; if (!place) place = entry(name); place; })) /* looked up once: places stay */
#define get(name) AT(name)

#define GONE (get("lost_status") ? (Status)get("lost_status") : (Status)NOT_RESPONDING)

static char *cable;
static int is_gone(void) { /* stays so until it is opened again */
    if (cable && access(cable, F_OK)) *entry("unplugged") = 1;
    return get("unplugged") != 0;
}

static int16_t *recording;
static size_t rec_events, rec_channels, rec_samples;

/* Plays int16 counts [event][channel][sample] from a file. */
int fake_load(const char *path, int channels, int samples) {
    FILE *file = fopen(path, "rb");
    if (!file) return -1;
    fseek(file, 0, SEEK_END);
    size_t size = (size_t)ftell(file), event = (size_t)channels * samples * 2;
    rewind(file);
    free(recording);
    recording = malloc(size);
    if (!recording || size % event || fread(recording, 1, size, file) != size) { fclose(file); return -1; }
    fclose(file);
    rec_events = size / event; rec_channels = channels; rec_samples = samples;
    return (int)rec_events;
}
void fake_set(const char *name, double value) { *entry(name) = value; }
double fake_get(const char *name) { return *entry(name); }

/* -- state --------------------------------------------------------------------------------------------------------- */

typedef struct {
    int is_open, power_asked, power_accepted, resolution;
    int on[CHANNELS], range[CHANNELS];
    float offset[CHANNELS];
    uint32_t segments, wanted, available;
    int16_t **buffer[CHANNELS];
    int32_t *length[CHANNELS];
    int running, has_data;
    int32_t pre, post;
    double interval;
    int64_t armed_ns, *done_ns;
    double *since_ns;
    uint64_t first;
} Unit;
static Unit unit[UNITS];
static uint64_t captured, seed_state = 88172645463325252ull;

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}
static void pass(double ns) { /* as long as a transfer takes: sleeping mostly, exact at the end */
    int64_t end = now_ns() + (int64_t)ns;
    if (ns > 150e3) {
        struct timespec t = {(time_t)((ns - 100e3) / 1e9), (long)fmod(ns - 100e3, 1e9)};
        nanosleep(&t, NULL);
    }
    while (now_ns() < end) {}
}
static double uniform(void) {
    seed_state ^= seed_state << 13; seed_state ^= seed_state >> 7; seed_state ^= seed_state << 17;
    return ((seed_state >> 11) + 0.5) / 9007199254740992.0;
}
static void forget_buffers(Unit *u) {
    for (int c = 0; c < CHANNELS; c++) {
        free(u->buffer[c]); free(u->length[c]);
        u->buffer[c] = calloc(u->segments, sizeof **u->buffer);
        u->length[c] = calloc(u->segments, sizeof **u->length);
    }
}
static void switch_on(Unit *u) {
    u->segments = u->wanted = 1;
    u->running = u->has_data = 0;
    u->available = 0;
    for (int c = 0; c < CHANNELS; c++) { u->on[c] = c < get("channels"); u->range[c] = 8; u->offset[c] = 0; }
    forget_buffers(u);
}
void fake_reset(void) {
    for (int i = 0; i < entries; i++) script[i].value = 0;
    *entry("units") = 1; *entry("channels") = 4; *entry("counter") = 1; *entry("seed") = 1;
    for (int i = 0; i < UNITS; i++) unit[i].is_open = 0;
    captured = 0;
    free(recording); recording = NULL;
    seed_state = 88172645463325252ull;
}
__attribute__((constructor)) static void begin(void) {
    fake_reset();
    const char *given = getenv("MIMODAQ_FAKE_SCOPE");
    char *copy = given ? strdup(given) : NULL, *save = NULL;
    for (char *part = copy ? strtok_r(copy, ",", &save) : NULL; part; part = strtok_r(NULL, ",", &save)) {
        char *value = strchr(part, '=');
        if (!value) continue;
        *value++ = 0;
        if (!strcmp(part, "file")) { /* path:channels:samples */
            char *samples = strrchr(value, ':');
            *samples++ = 0;
            char *channels = strrchr(value, ':');
            *channels++ = 0;
            if (fake_load(value, atoi(channels), atoi(samples)) < 0) abort();
        } else if (!strcmp(part, "cable")) {
            cable = strdup(value);
        } else *entry(part) = atof(value);
    }
    free(copy);
}

/* Counts the call and finds the unit; returns from the function with what an absent scope answers. */
#define UNIT(name) \
    ++AT("calls." name); \
    if (h < 1 || h > UNITS || !unit[h - 1].is_open) return INVALID_HANDLE; \
    if (is_gone()) return GONE; \
    Unit *u = &unit[h - 1]; (void)u

/* -- which scope --------------------------------------------------------------------------------------------------- */

static void serial_of(int i, char *out) { sprintf(out, "FAKE/%04d", i + 1); }

Status FN(EnumerateUnits)(int16_t *count, char *serials, int16_t *length) {
    ++AT("calls.EnumerateUnits");
    int n = 0, used = 0;
    int plugged = cable ? !access(cable, F_OK) : !get("unplugged");
    for (int i = 0; i < get("units") && plugged; i++) {
        if (unit[i].is_open) continue;
        char one[16];
        serial_of(i, one);
        if (serials && used + (int)strlen(one) + 2 <= *length) used += sprintf(serials + used, n ? ",%s" : "%s", one);
        n++;
    }
    if (serials && !n) *serials = 0;
    *length = (int16_t)(used + 1);
    *count = (int16_t)n;
    return n ? OK : NOT_FOUND;
}

static Status open_unit(int16_t *handle, const char *serial, int resolution) {
    ++AT("calls.OpenUnit");
    *handle = 0;
    if (is_gone()) {
        if (cable && access(cable, F_OK)) return NOT_FOUND;
        if (get("failed_opens") > 0) { --*entry("failed_opens"); return NOT_FOUND; }
        *entry("unplugged") = 0; *entry("unplug_after") = 0; *entry("unplug_in_transfer") = 0;
        for (int i = 0; i < UNITS; i++) unit[i].is_open = 0;
    }
    for (int i = 0; i < get("units"); i++) {
        char one[16];
        serial_of(i, one);
        if (unit[i].is_open || (serial && strcmp(serial, one))) continue;
        unit[i].is_open = 1;
        unit[i].resolution = resolution;
        switch_on(&unit[i]);
        *handle = (int16_t)(i + 1);
        unit[i].power_asked = (int)get("power");
        unit[i].power_accepted = 0;
        return (Status)unit[i].power_asked;
    }
    return NOT_FOUND;
}
#ifdef RESOLUTION
Status FN(OpenUnit)(int16_t *handle, char *serial, int32_t resolution) {
    if (resolution < 0 || resolution > 4) { *handle = -1; return INVALID_PARAMETER; }
    return open_unit(handle, serial, resolution);
}
Status FN(SetDeviceResolution)(int16_t h, int32_t resolution) { UNIT("SetDeviceResolution"); u->resolution = resolution; return OK; }
Status FN(GetDeviceResolution)(int16_t h, int32_t *resolution) { UNIT("GetDeviceResolution"); *resolution = u->resolution; return OK; }
#else
Status FN(OpenUnit)(int16_t *handle, char *serial) { return open_unit(handle, serial, 0); }
#endif
#ifdef POWER
Status FN(ChangePowerSource)(int16_t h, uint32_t status) {
    UNIT("ChangePowerSource");
    if (status != (uint32_t)u->power_asked) return INVALID_PARAMETER;
    u->power_accepted = 1;
    return OK;
}
Status FN(CurrentPowerSource)(int16_t h) { UNIT("CurrentPowerSource"); return (Status)u->power_asked; }
#endif
Status FN(CloseUnit)(int16_t h) {
    ++AT("calls.CloseUnit");
    if (h < 1 || h > UNITS || !unit[h - 1].is_open) return INVALID_HANDLE;
    unit[h - 1].is_open = 0;
    return OK;
}
Status FN(PingUnit)(int16_t h) { UNIT("PingUnit"); return OK; }
Status FN(GetUnitInfo)(int16_t h, char *text, int16_t length, int16_t *needed, uint32_t what) {
    if (h < 1 || h > UNITS || !unit[h - 1].is_open) { /* without a scope there is a version of the library */
        if (what) return INVALID_HANDLE;
        snprintf(text, (size_t)length, "%s", TEXT(API) " stand-in 1.0");
        return OK;
    }
    UNIT("GetUnitInfo");
    char serial[16];
    serial_of(h - 1, serial);
    const char *answers[] = {TEXT(API) " stand-in 1.0", "3.0", "1", TEXT(API) "-fake", serial, "01Jan20", "1", "", "", "1.0", "1.0"};
    const char *answer = what < 11 ? answers[what] : "";
    if (needed) *needed = (int16_t)(strlen(answer) + 1);
    snprintf(text, (size_t)length, "%s", answer);
    return OK;
}
#ifndef HIGHEST
#define HIGHEST 32512
#endif
static int16_t highest(const Unit *u) { return u->resolution ? 32767 : HIGHEST; }
Status FN(MaximumValue)(int16_t h, int16_t *value) {
    UNIT("MaximumValue");
    *value = get("full_scale") ? (int16_t)get("full_scale") : highest(u);
    return OK;
}
Status FN(MinimumValue)(int16_t h, int16_t *value) { UNIT("MinimumValue"); *value = (int16_t)-highest(u); return OK; }

/* -- settings ------------------------------------------------------------------------------------------------------- */

#ifdef BULK_BUFFERS
Status FN(SetChannel)(int16_t h, int32_t channel, int16_t enabled, int32_t coupling, int32_t range, float offset, int32_t limiter) {
    UNIT("SetChannel");
    if (limiter < 0 || limiter > 2) return INVALID_PARAMETER;
#else
Status FN(SetChannel)(int16_t h, int32_t channel, int16_t enabled, int32_t coupling, int32_t range, float offset) {
    UNIT("SetChannel");
#endif
    if (u->running) return SAMPLING;
    if (channel < 0 || channel >= get("channels")) return INVALID_CHANNEL;
    if (enabled && u->power_asked == NO_SUPPLY && channel > 1) return NO_SUPPLY;
    if (enabled && (range < 1 || range > 10)) return INVALID_RANGE;
    if (coupling < 0 || coupling > 1) return INVALID_PARAMETER;
    u->on[channel] = enabled != 0;
    u->range[channel] = range;
    u->offset[channel] = offset;
    return OK;
}
Status FN(SetBandwidthFilter)(int16_t h, int32_t channel, int32_t limiter) {
    UNIT("SetBandwidthFilter");
    if (!channel) *entry("bandwidth.A") = limiter;
    return channel < 0 || channel >= get("channels") ? INVALID_CHANNEL : limiter < 0 || limiter > 3 ? INVALID_PARAMETER : OK;
}
Status FN(GetAnalogueOffset)(int16_t h, int32_t range, int32_t coupling, float *most, float *least) {
    UNIT("GetAnalogueOffset");
    (void)coupling;
    *most = range <= 4 ? 0.25f : range <= 7 ? 2.5f : 20.0f;
    *least = -*most;
    return OK;
}
Status FN(SetSimpleTrigger)(int16_t h, int16_t enable, int32_t source, int16_t threshold, int32_t direction, uint32_t delay, int16_t auto_ms) {
    UNIT("SetSimpleTrigger");
    *entry("trigger.enable") = enable; *entry("trigger.source") = source; *entry("trigger.threshold") = threshold;
    *entry("trigger.direction") = direction; *entry("trigger.delay") = delay; *entry("trigger.auto_ms") = auto_ms;
    return source < 0 || source > 5 ? INVALID_CHANNEL : OK;
}
#ifndef GENERATOR
#define GENERATOR SetSigGenBuiltIn
#endif
#ifdef WIDE_GENERATOR
Status FN(GENERATOR)(int16_t h, int32_t offset, uint32_t size, int32_t wave, double start, double stop, double step, double dwell,
                     int32_t sweep, int32_t operation, uint32_t shots, uint32_t sweeps, int32_t type, int32_t source, int16_t threshold) {
#else
Status FN(GENERATOR)(int16_t h, int32_t offset, uint32_t size, int16_t wave, float start, float stop, float step, float dwell,
                            int32_t sweep, int32_t operation, uint32_t shots, uint32_t sweeps, int32_t type, int32_t source, int16_t threshold) {
#endif
    UNIT("SetSigGenBuiltIn");
    (void)stop; (void)step; (void)dwell; (void)sweep; (void)operation; (void)shots; (void)sweeps; (void)type; (void)source; (void)threshold;
    *entry("generator.wave") = wave; *entry("generator.offset") = offset; *entry("generator.size") = size; *entry("generator.frequency") = start;
    return OK;
}

static int channels_on(const Unit *u) { int n = 0; for (int c = 0; c < CHANNELS; c++) n += u->on[c]; return n; }

static Status interval_of(const Unit *u, uint32_t n, double *interval) {
    int on = channels_on(u);
    uint32_t fastest = on <= 1 ? 0 : on == 2 ? 1 : 2;
#ifdef RESOLUTION
    switch (u->resolution) {
    case 1: fastest++; if (n < fastest) return INVALID_TIMEBASE; *interval = n < 4 ? ldexp(2, (int)n - 1) : (n - 3.0) * 16; return OK;
    case 2: case 3: if (n < 3) return INVALID_TIMEBASE; *interval = (n - 2.0) * 8; return OK;
    case 4: if (n < 4) return INVALID_TIMEBASE; *interval = (n - 3.0) * 16; return OK;
    }
#endif
    if (n < fastest) return INVALID_TIMEBASE;
    *interval = n < 3 ? ldexp(1, (int)n) : (n - 2.0) * 8;
    return OK;
}
#ifdef OVERSAMPLE
#define OVER int16_t oversample,
#define USE_OVER (void)oversample
#else
#define OVER
#define USE_OVER (void)0
#endif
Status FN(GetTimebase2)(int16_t h, uint32_t timebase, int32_t samples, float *interval, OVER int32_t *most, uint32_t segment) {
    UNIT("GetTimebase2");
    USE_OVER; (void)samples;
    if (segment >= u->segments) return SEGMENT_OUT_OF_RANGE;
    double found = 0;
    Status status = interval_of(u, timebase, &found);
    if (status) return status;
    if (interval) *interval = (float)found;
    if (most) *most = (int32_t)(MEMORY / u->segments);
    return OK;
}

/* -- memory --------------------------------------------------------------------------------------------------------- */

Status FN(GetMaxSegments)(int16_t h, uint32_t *most) { UNIT("GetMaxSegments"); *most = get("no_segments") ? 1 : MOST_SEGMENTS; return OK; }
Status FN(MemorySegments)(int16_t h, uint32_t segments, int32_t *most) {
    UNIT("MemorySegments");
    if (u->running) return SAMPLING;
    if (!segments || segments > MOST_SEGMENTS || (segments > 1 && get("no_segments"))) return TOO_MANY_SEGMENTS;
    u->segments = segments;
    forget_buffers(u);
    *most = (int32_t)(MEMORY / segments);
    return OK;
}
Status FN(SetNoOfCaptures)(int16_t h, uint32_t captures) {
    UNIT("SetNoOfCaptures");
    if (u->running) return SAMPLING;
    if (captures > u->segments) return NOT_ENOUGH_SEGMENTS;
    u->wanted = captures;
    return OK;
}
static Status set_buffer(Unit *u, int32_t channel, int16_t *buffer, int32_t length, uint32_t segment) {
    if (u->running && get("refuse_buffers")) return SAMPLING;
    if (channel < 0 || channel >= CHANNELS) return INVALID_CHANNEL;
    if (segment >= u->segments) return SEGMENT_OUT_OF_RANGE;
    u->buffer[channel][segment] = buffer;
    u->length[channel][segment] = length;
    return OK;
}
#ifdef BULK_BUFFERS
Status FN(SetDataBufferBulk)(int16_t h, int32_t channel, int16_t *buffer, uint32_t length, uint32_t segment, int32_t mode) {
#else
Status FN(SetDataBuffer)(int16_t h, int32_t channel, int16_t *buffer, int32_t length, uint32_t segment, int32_t mode) {
#endif
    if (h < 1 || h > UNITS || !unit[h - 1].is_open) return INVALID_HANDLE;
    return mode ? INVALID_PARAMETER : set_buffer(&unit[h - 1], channel, buffer, (int32_t)length, segment);
}
#ifndef BULK_BUFFERS
Status FN(SetDataBuffers)(int16_t h, int32_t channel, int16_t *most, int16_t *least, int32_t length, uint32_t segment, int32_t mode) {
    UNIT("SetDataBuffers");
    (void)least;
    return mode ? INVALID_PARAMETER : set_buffer(u, channel, most, length, segment);
}
#endif

/* -- captures ------------------------------------------------------------------------------------------------------- */

typedef void (*Ready)(int16_t, Status, void *);
typedef struct { Ready call; void *context; int16_t h; int64_t at; } Later;
static void *call_later(void *given) {
    Later later = *(Later *)given;
    free(given);
    int64_t left = later.at - now_ns();
    if (left > 0) pass((double)left);
    later.call(later.h, OK, later.context);
    return NULL;
}
Status FN(RunBlock)(int16_t h, int32_t pre, int32_t post, uint32_t timebase, OVER int32_t *indisposed, uint32_t segment, void *callback, void *context) {
    UNIT("RunBlock");
    USE_OVER;
    if (u->running) return SAMPLING;
    if (pre < 0 || post < 0 || !(pre + post)) return INVALID_PARAMETER;
    if (segment >= u->segments) return SEGMENT_OUT_OF_RANGE;
    Status status = interval_of(u, timebase, &u->interval);
    if (status) return status;
    if ((double)(pre + post) * channels_on(u) > MEMORY / u->segments) return TOO_MANY_SAMPLES;
    u->pre = pre; u->post = post;
    u->done_ns = realloc(u->done_ns, u->wanted * sizeof *u->done_ns);
    u->since_ns = realloc(u->since_ns, u->wanted * sizeof *u->since_ns);
    double window = (pre + post) * u->interval + get("rearm_ns"), rate = get("rate"), at = 0, clock = 0;
    int paced = rate > 0 || get("paced");
    u->armed_ns = now_ns();
    for (uint32_t k = 0; k < u->wanted; k++) {
        double step = rate > 0 ? -log(uniform()) * 1e9 / rate : 0;
        if (step < window) step = window;
        clock += step;
        at += paced ? step : 0;
        u->since_ns[k] = clock;
        u->done_ns[k] = get("stall_after") && k >= get("stall_after") ? INT64_MAX : u->armed_ns + (int64_t)at;
    }
    u->first = captured;
    u->running = 1;
    u->has_data = 0;
    if (indisposed) *indisposed = 2;
    if (callback) {
        Later *later = malloc(sizeof *later);
        pthread_t thread;
        *later = (Later){(Ready)callback, context, h, u->done_ns[u->wanted - 1]};
        pthread_create(&thread, NULL, call_later, later);
        pthread_detach(thread);
    }
    return OK;
}
static uint32_t count_done(const Unit *u) {
    int64_t now = now_ns();
    if (u->done_ns[u->wanted - 1] <= now) return u->wanted;
    uint32_t n = 0;
    while (n < u->wanted && u->done_ns[n] <= now) n++;
    return n;
}
static void complete(Unit *u, uint32_t n) {
    u->running = 0; u->has_data = 1; u->available = n;
    captured = u->first + n;
    AT("captured") = (double)captured;
}
Status FN(IsReady)(int16_t h, int16_t *ready) {
    if (h < 1 || h > UNITS || !unit[h - 1].is_open) return INVALID_HANDLE;
    Unit *u = &unit[h - 1];
    *ready = 0;
    if (!u->running) { *ready = (int16_t)u->has_data; return is_gone() ? GONE : OK; }
    uint32_t n = count_done(u);
    if (n < u->wanted && !get("unplug_after") && !is_gone()) return OK;
    if (get("unplug_after") && !get("unplug_in_transfer") && u->first + n >= get("unplug_after")) *entry("unplugged") = 1;
    if (is_gone()) return GONE;
    if (n == u->wanted) { complete(u, n); *ready = 1; }
    return OK;
}
Status FN(Stop)(int16_t h) {
    UNIT("Stop");
    if (u->running) complete(u, count_done(u));
    return OK;
}
Status FN(GetNoOfCaptures)(int16_t h, uint32_t *captures) { UNIT("GetNoOfCaptures"); *captures = u->running ? count_done(u) : u->available; return OK; }
Status FN(GetNoOfProcessedCaptures)(int16_t h, uint32_t *captures) { UNIT("GetNoOfProcessedCaptures"); *captures = u->available; return OK; }

static int deliver(const Unit *u, int c, uint64_t k, int16_t *out, int32_t length) {
    int32_t samples = u->pre + u->post, n = length < samples ? length : samples;
    int16_t top = highest(u);
    int hit = 0;
    if (recording) {
        memset(out, 0, (size_t)n * 2);
        if ((size_t)c < rec_channels) {
            size_t m = (size_t)n < rec_samples ? (size_t)n : rec_samples;
            memcpy(out, recording + ((k % rec_events) * rec_channels + (size_t)c) * rec_samples, m * 2);
        }
        for (int32_t i = 0; i < n; i++) hit |= out[i] >= top || out[i] <= -top;
    } else if (get("flat")) memset(out, (int)(k & 0x7F), (size_t)n * 2);
    else {
        int64_t base = (int64_t)(k * 7919 + (uint64_t)c * 1009);
        int32_t value = (int32_t)(base % 32000);
        for (int32_t i = 0; i < n; i++) { out[i] = (int16_t)(value - 16000); value += 31; if (value >= 32000) value -= 32000; }
    }
    return hit;
}
static Status transfer(Unit *u, uint32_t *samples, uint32_t from, uint32_t to, int16_t *overflow) {
    if (u->running) return SAMPLING;
    if (!u->has_data) return NO_SAMPLES;
    if (to < from || to >= u->available) return SEGMENT_OUT_OF_RANGE;
    for (int c = 0; c < CHANNELS; c++)
        for (uint32_t k = from; u->on[c] && k <= to; k++)
            if (!u->buffer[c][k]) return NO_BUFFER;
    uint32_t n = (uint32_t)(u->pre + u->post);
    if (*samples > n) *samples = n;
    for (uint32_t k = from; k <= to; k++) {
        int16_t mask = 0;
        if (get("unplug_in_transfer") && u->first + k >= get("unplug_after")) { *entry("unplugged") = 1; return GONE; }
        for (int c = 0; c < CHANNELS; c++)
            if (u->on[c]) {
                int32_t length = u->length[c][k] < (int32_t)*samples ? u->length[c][k] : (int32_t)*samples;
                if (deliver(u, c, u->first + k, u->buffer[c][k], length)) mask |= (int16_t)(1 << c);
                if (u->length[c][k] < (int32_t)*samples) *samples = (uint32_t)u->length[c][k];
            }
        if (get("overflow_every") && (u->first + k) % (uint64_t)get("overflow_every") == 0) mask |= 1;
        if (overflow) overflow[k - from] = mask;
    }
    double cost = get("setup_ns") + get("transfer_ns_per_byte") * (to - from + 1.0) * channels_on(u) * n * 2;
    if (cost > 0) pass(cost);
    return OK;
}
Status FN(GetValuesBulk)(int16_t h, uint32_t *samples, uint32_t from, uint32_t to, uint32_t ratio, int32_t mode, int16_t *overflow) {
    UNIT("GetValuesBulk");
    (void)ratio;
    return mode ? INVALID_PARAMETER : transfer(u, samples, from, to, overflow);
}
Status FN(GetValues)(int16_t h, uint32_t start, uint32_t *samples, uint32_t ratio, int32_t mode, uint32_t segment, int16_t *overflow) {
    UNIT("GetValues");
    (void)ratio;
    return mode || start ? INVALID_PARAMETER : transfer(u, samples, segment, segment, overflow);
}
Status FN(GetValuesTriggerTimeOffsetBulk64)(int16_t h, int64_t *times, int32_t *units, uint32_t from, uint32_t to) {
    UNIT("GetValuesTriggerTimeOffsetBulk64");
    if (u->running) return SAMPLING;
    if (to < from || to >= u->available) return SEGMENT_OUT_OF_RANGE;
    for (uint32_t k = from; k <= to; k++) { times[k - from] = 100 + (int64_t)((u->first + k) % 7); units[k - from] = 1; /* ps */ }
    return OK;
}
#ifdef TRIGGER_INFO
#pragma pack(push, 1)
typedef struct { uint32_t status, segment, index; int64_t time; int16_t units, reserved; uint64_t counter; } TriggerInfo;
#pragma pack(pop)
_Static_assert(sizeof(TriggerInfo) == 32, "the vendor's structure has 32 bytes");
Status FN(GetTriggerInfoBulk)(int16_t h, TriggerInfo *info, uint32_t from, uint32_t to) {
    UNIT("GetTriggerInfoBulk");
    if (u->running) return SAMPLING;
    if (to < from || to >= u->available) return SEGMENT_OUT_OF_RANGE;
    for (uint32_t k = from; k <= to; k++) {
        memset(&info[k - from], 0, sizeof *info);
        info[k - from].status = k ? 0 : 0x01000000;
        info[k - from].segment = k;
        if (get("counter")) info[k - from].counter = (uint64_t)((u->since_ns[k] - u->since_ns[0]) / u->interval);
    }
    return OK;
}
#endif
