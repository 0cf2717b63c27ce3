// SPDX-License-Identifier: GPL-2.0
/*
 * What does loading the module register, and in which order does unloading take it back?
 *
 * The C files read the kernel's structures, act on verdicts and register; what becomes of a frame is decided in Rust
 * (crates/core, by way of crates/kmod). Every function here reads, acts or registers.
 */
#include <linux/module.h>

#include "ipvl.h"

static int __init ipvl_init(void)
{
	int err = register_netdevice_notifier(&ipvl_device_nb);

	if (err)
		return err;
	ipvl_address_init();
	err = ipvl_link_register(&ipvl_link_ops);
	if (!err)
		return 0;
	ipvl_address_exit();
	unregister_netdevice_notifier(&ipvl_device_nb);
	return err;
}

static void __exit ipvl_exit(void)
{
	rtnl_link_unregister(&ipvl_link_ops);
	ipvl_address_exit();
	unregister_netdevice_notifier(&ipvl_device_nb);
	rcu_barrier();
}

module_init(ipvl_init);
module_exit(ipvl_exit);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("The ipvl authors");
MODULE_DESCRIPTION("IPVLAN whose decisions are made in Rust (ipvl)");
MODULE_VERSION("ipvl-0.1.0"); /* by which the command knows this module from the kernel's own */
MODULE_ALIAS_RTNL_LINK("ipvlan");
