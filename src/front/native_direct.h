/* front/native_direct.h: a face that answers every request with one static JSON body, so that the
 * front can be measured without an application. */
#ifndef FRONT_NATIVE_DIRECT_H
#define FRONT_NATIVE_DIRECT_H

#include "exchange/face.h"

void front_native_direct_face(struct face *out);

#endif
