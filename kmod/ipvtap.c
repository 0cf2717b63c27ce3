// SPDX-License-Identifier: GPL-2.0
/*
 * How does a slave become a character device, for a virtual machine? By the kernel's `tap` module: what a monitor writes
 * to /dev/tapN is sent by the slave, and what the slave receives is read there. All else is an ordinary slave's.
 */
#include <linux/cdev.h>
#include <linux/if_tap.h>
#include <linux/if_tun.h>
#include <linux/module.h>

#include "ipvl.h"

#define OFFLOADS (NETIF_F_HW_CSUM | NETIF_F_TSO_ECN | NETIF_F_TSO | NETIF_F_TSO6)

struct ipvtap {
	struct ipvl_slave slave;
	struct tap_dev tap;
};

static dev_t major;
static struct cdev cdev;

static IPVL_CLASS_NAMESPACE(class_namespace, node)
{
	const struct net *net = dev_net(to_net_dev(node->parent));

	return IPVL_NAMESPACE_OF(net);
}

static struct class class = {
	.name = "ipvtap",
	.ns_type = &net_ns_type_operations,
	.namespace = class_namespace,
};

static void count_tx_dropped(struct tap_dev *tap)
{
	dev_core_stats_tx_dropped_inc(tap->dev);
}

static void count_rx_dropped(struct tap_dev *tap)
{
	DEV_STATS_INC(tap->dev, rx_dropped);
}

/* Acts: a monitor has said what its guest can take. */
static void update_features(struct tap_dev *tap, netdev_features_t features)
{
	ipvl_slave_of(tap->dev)->features = features;
	netdev_update_features(tap->dev);
}

static int tap_new(struct net *net, struct net_device *dev, struct nlattr *tb[], struct nlattr *data[],
		   struct netlink_ext_ack *extack)
{
	struct ipvtap *t = netdev_priv(dev);
	int err;

	t->tap = (struct tap_dev){
		.dev = dev,
		.tap_features = OFFLOADS,
		.update_features = update_features,
		.count_tx_dropped = count_tx_dropped,
		.count_rx_dropped = count_rx_dropped,
	};
	INIT_LIST_HEAD(&t->tap.queue_list);
	err = netdev_rx_handler_register(dev, tap_handle_frame, &t->tap);
	if (err)
		return err;
	err = ipvl_link_new(net, dev, tb, data, extack);
	if (err)
		netdev_rx_handler_unregister(dev);
	return err;
}

IPVL_NEWLINK(tap_newlink, tap_new)

static void tap_dellink(struct net_device *dev, struct list_head *head)
{
	struct ipvtap *t = netdev_priv(dev);

	netdev_rx_handler_unregister(dev);
	tap_del_queues(&t->tap);
	ipvl_link_delete(dev, head);
}

static void tap_setup(struct net_device *dev)
{
	ipvl_link_setup(dev);
	dev->tx_queue_len = TUN_READQ_SIZE;
	dev->priv_flags &= ~IFF_NO_QUEUE;
}

static struct rtnl_link_ops link_ops = {
	.kind		= "ipvtap",
	.priv_size	= sizeof(struct ipvtap),
	.setup		= tap_setup,
	.newlink	= tap_newlink,
	.dellink	= tap_dellink,
};

/* Registers the character device, which has the device's ifindex in its name. */
static int node_new(struct net_device *dev, struct ipvtap *t, const char *name)
{
	struct device *node;
	int err = tap_get_minor(major, &t->tap);

	if (err)
		return err;
	node = device_create(&class, &dev->dev, MKDEV(MAJOR(major), t->tap.minor), dev, "%s", name);
	if (!IS_ERR(node))
		return sysfs_create_link(&dev->dev.kobj, &node->kobj, name);
	tap_free_minor(major, &t->tap);
	t->tap.minor = 0;
	return PTR_ERR(node);
}

static void node_delete(struct net_device *dev, struct ipvtap *t, const char *name)
{
	if (!t->tap.minor)
		return;
	sysfs_remove_link(&dev->dev.kobj, name);
	device_destroy(&class, MKDEV(MAJOR(major), t->tap.minor));
	tap_free_minor(major, &t->tap);
}

static int on_device(struct notifier_block *nb, unsigned long event, void *ptr)
{
	struct net_device *dev = netdev_notifier_info_to_dev(ptr);
	struct ipvtap *t = netdev_priv(dev);
	char name[IFNAMSIZ];

	if (dev->rtnl_link_ops != &link_ops)
		return NOTIFY_DONE;
	snprintf(name, sizeof(name), "tap%d", dev->ifindex);
	switch (event) {
	case NETDEV_REGISTER:
		return notifier_from_errno(node_new(dev, t, name));
	case NETDEV_UNREGISTER:
		node_delete(dev, t, name);
		return NOTIFY_DONE;
	case NETDEV_CHANGE_TX_QUEUE_LEN:
		return tap_queue_resize(&t->tap) ? NOTIFY_BAD : NOTIFY_DONE;
	default:
		return NOTIFY_DONE;
	}
}

static struct notifier_block device_nb = { .notifier_call = on_device };

static int __init tap_init(void)
{
	int err = tap_create_cdev(&cdev, &major, "ipvtap", THIS_MODULE);

	if (err)
		return err;
	err = class_register(&class);
	if (err)
		goto cdev;
	err = register_netdevice_notifier(&device_nb);
	if (err)
		goto class;
	err = ipvl_link_register(&link_ops);
	if (!err)
		return 0;
	unregister_netdevice_notifier(&device_nb);
class:
	class_unregister(&class);
cdev:
	tap_destroy_cdev(major, &cdev);
	return err;
}

static void __exit tap_exit(void)
{
	rtnl_link_unregister(&link_ops);
	unregister_netdevice_notifier(&device_nb);
	class_unregister(&class);
	tap_destroy_cdev(major, &cdev);
}

module_init(tap_init);
module_exit(tap_exit);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("The ipvl authors");
MODULE_DESCRIPTION("Slaves of an IPVLAN master as character devices (ipvl)");
MODULE_ALIAS_RTNL_LINK("ipvtap");
