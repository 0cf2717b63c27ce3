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
	int err;

	err = ipvl_l3s_init();
	if (err)
		return err;
	err = register_netdevice_notifier(&ipvl_device_nb);
	if (err)
		goto l3s;
	err = ipvl_address_init();
	if (err)
		goto device;
	err = ipvl_link_register();
	if (err)
		goto address;
	return 0;

address:
	ipvl_address_exit();
device:
	unregister_netdevice_notifier(&ipvl_device_nb);
l3s:
	ipvl_l3s_exit();
	return err;
}

static void __exit ipvl_exit(void)
{
	ipvl_link_unregister();
	ipvl_address_exit();
	unregister_netdevice_notifier(&ipvl_device_nb);
	ipvl_l3s_exit();
	rcu_barrier();
}

module_init(ipvl_init);
module_exit(ipvl_exit);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("The ipvl authors");
MODULE_DESCRIPTION("IPVLAN whose decisions are made in Rust (ipvl)");
MODULE_ALIAS_RTNL_LINK("ipvlan");
