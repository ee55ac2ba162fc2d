/* argp of gnulib, without the config.h that its header expects. */
#define _GL_CONFIG_H_INCLUDED 1
#define _GL_ATTRIBUTE_FORMAT(spec)
#define _GL_INLINE_HEADER_BEGIN
#define _GL_INLINE_HEADER_END
#define ARGP_EI extern inline __attribute__ ((gnu_inline))
#include "/tar/gnu/argp.h"
