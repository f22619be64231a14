/* What compilers and processors call differently. */

#ifndef SEARCH_BACK_KERNELS_H
#define SEARCH_BACK_KERNELS_H

#if defined(_WIN32)
#define API __declspec(dllexport)
#else
#define API __attribute__((visibility("default")))
#endif

/* PREFETCH: into the second cache; fewer lines can be on their way to the first. */
#if defined(__GNUC__)
#define PREFETCH(p) __builtin_prefetch(p, 0, 2)
#define INLINE static inline __attribute__((always_inline)) /* into each build below */
#else
#define PREFETCH(p) ((void)(p))
#define INLINE static inline
#endif

/* One build serves old and new processors: the loader takes the best of these, by what a processor can do. The name of
   a processor would be compared with that of this one, and fit no other maker's. */
#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 12
#define FOR_EACH_PROCESSOR __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#elif defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
#define FOR_EACH_PROCESSOR __attribute__((target_clones("avx2", "default")))
#else
#define FOR_EACH_PROCESSOR
#endif

enum { LINE = 64 }; /* bytes of memory that come at once */

#endif
