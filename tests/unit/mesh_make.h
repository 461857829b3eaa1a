/* What both halves of the mesh use: memory that is there, and values from the seed. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Zeroed memory, or abort. */
void *mesh_need(size_t n);
/* 32 bytes of their own for (seed, what, number). */
void mesh_derive(uint8_t out[32], uint64_t seed, const char *what, uint64_t number);
