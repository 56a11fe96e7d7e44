"""Module save_files to handle file I/O for data in txt and parquet format

This module relies on classes in mimocorb.buffer_control
"""

from mimocorb.buffer_control import rb_toParquetfile, rb_toTxtfile


def save_to_txt(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    sv = rb_toTxtfile(source_list=source_list, config_dict=config_dict, **rb_info)
    sv()


def save_parquet(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    sv = rb_toParquetfile(source_list=source_list, config_dict=config_dict, **rb_info)
    sv()
