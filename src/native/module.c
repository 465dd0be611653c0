/* Registers the facilities. */
#include "native.h"

void export_all(napi_env env, napi_value exports, const struct export *table, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		napi_value function;
		if (napi_create_function(env, table[i].name, NAPI_AUTO_LENGTH, table[i].function, NULL, &function) == napi_ok)
			napi_set_named_property(env, exports, table[i].name, function);
	}
}

NAPI_MODULE_INIT()
{
	export_wait(env, exports);
	export_child(env, exports);
	export_file(env, exports);
	export_mqueue(env, exports);
	export_pipe(env, exports);
	export_transfer(env, exports);
	export_signal(env, exports);
	export_proc(env, exports);
	export_process(env, exports);
	export_users(env, exports);
	export_ring(env, exports);
	export_shm(env, exports);
	export_semaphore(env, exports);
	export_duplex(env, exports);
	export_socket(env, exports);
	export_sock_diag(env, exports);
	export_terminal(env, exports);
	export_watchdog(env, exports);
	return exports;
}
