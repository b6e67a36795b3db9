/*
 * Encodes 16-bit samples from standard input by codecs that FFmpeg only decodes, for the vectors
 * beside this file. A program of its own: nothing of it, and none of the libraries it opens, is part
 * of Earwitness. README.md says how it was built and run.
 *
 * Output: for each frame its length (16 bits, little-endian) and its bytes; length 0 for nothing sent.
 */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef WITH_ILBC
#include "ilbc.h"
#endif

static void *library;

static void *symbol(const char *name) {
    void *found = dlsym(library, name);
    if (!found) { fprintf(stderr, "no %s\n", name); exit(1); }
    return found;
}

static void open_library(const char *name) {
    library = dlopen(name, RTLD_NOW);
    if (!library) { fprintf(stderr, "%s\n", dlerror()); exit(1); }
}

static void put(const uint8_t *bytes, int length) {
    putchar(length & 255);
    putchar(length >> 8);
    fwrite(bytes, 1, length, stdout);
}

static int frame(int16_t *samples, int count) {
    return fread(samples, 2, count, stdin) == (size_t)count;
}

static void g729(void) {
    open_library("libbcg729.so.0");
    void *(*create)(uint8_t) = symbol("initBcg729EncoderChannel");
    void (*encode)(void *, const int16_t *, uint8_t *, uint8_t *) = symbol("bcg729Encoder");
    void *state = create(1);
    int16_t samples[80];
    uint8_t out[16], length;
    while (frame(samples, 80)) {
        encode(state, samples, out, &length);
        put(out, length);
    }
}

static void amr(void) {
    open_library("libopencore-amrnb.so.0");
    void *(*create)(int) = symbol("Encoder_Interface_init");
    int (*encode)(void *, int, const int16_t *, uint8_t *, int) = symbol("Encoder_Interface_Encode");
    void *state = create(1);
    int16_t samples[160];
    uint8_t out[64];
    while (frame(samples, 160)) {
        int length = encode(state, 7 /* 12.2 kbit/s */, samples, out, 0);
        put(out, (out[0] >> 3 & 15) == 15 ? 0 : length);
    }
}

static void amr_wb(void) {
    open_library("libvo-amrwbenc.so.0");
    void *(*create)(void) = symbol("E_IF_init");
    int (*encode)(void *, int, const int16_t *, uint8_t *, int) = symbol("E_IF_encode");
    void *state = create();
    int16_t samples[320];
    uint8_t out[128];
    while (frame(samples, 320)) {
        int length = encode(state, 8 /* 23.85 kbit/s */, samples, out, 1);
        put(out, (out[0] >> 3 & 15) == 15 ? 0 : length);
    }
}

static void ilbc(int mode_ms) {
#ifdef WITH_ILBC
    IlbcEncoderInstance *state;
    WebRtcIlbcfix_EncoderCreate(&state);
    WebRtcIlbcfix_EncoderInit(state, mode_ms);
    int16_t samples[240];
    uint8_t out[64];
    while (frame(samples, mode_ms * 8)) {
        int length = WebRtcIlbcfix_Encode(state, samples, mode_ms * 8, out);
        put(out, length);
    }
#else
    (void)mode_ms;
    fprintf(stderr, "built without iLBC\n");
    exit(1);
#endif
}

int main(int count, char **arguments) {
    const char *codec = count == 2 ? arguments[1] : "";
    if (!strcmp(codec, "g729")) g729();
    else if (!strcmp(codec, "amr")) amr();
    else if (!strcmp(codec, "amr-wb")) amr_wb();
    else if (!strcmp(codec, "ilbc20")) ilbc(20);
    else if (!strcmp(codec, "ilbc30")) ilbc(30);
    else { fprintf(stderr, "encode g729|amr|amr-wb|ilbc20|ilbc30 < samples > frames\n"); return 2; }
    return 0;
}
