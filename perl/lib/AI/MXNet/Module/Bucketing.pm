package AI::MXNet::Module::Bucketing;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use AI::MXNet::Logging;
use AI::MXNet::Module::Base;

our @ISA = ('AI::MXNet::Module::Base');    ## no critic (ProhibitExplicitISA)

*_fail = \&AI::MXNet::Module::Base::_fail;
*_named = \&AI::MXNet::Module::Base::_named;

sub new
{
    my ($class, @args) = @_;
    unshift @args, 'sym_gen' if @args % 2;
    my $arg = _named(
        'BucketingModule',
        {
            sym_gen => undef,
            default_bucket_key => undef,
            logger => undef,
            context => undef,
            work_load_list => undef,
            fixed_param_names => undef,
            state_names => undef,
            group2ctxs => undef,
        },
        @args
    );
    my ($sym_gen, $key) = delete @{$arg}{qw(sym_gen default_bucket_key)};
    _fail('BucketingModule: sym_gen got ' . ($sym_gen // 'nothing') . ', want a sub') if ref $sym_gen ne 'CODE';
    _fail('BucketingModule: default_bucket_key got nothing') if not defined $key;
    my $self = bless {
        sym_gen => $sym_gen,
        default_key => $key,
        options => $arg,
        buckets => {},
        (map { $_ => 0 } qw(binded for_training inputs_need_grad params_initialized optimizer_initialized)),
        },
        ref $class || $class;
    $self->_module($key);    # so that wrong names are told at once
    return $self;
}

# A new module for a bucket, not bound.
sub _module
{
    my ($self, $key) = @_;
    my ($symbol, $data_names, $label_names) = $self->{sym_gen}->($key);
    return AI::MXNet::Module->new(
        symbol => $symbol,
        data_names => $data_names // ['data'],
        label_names => $label_names,
        %{ $self->{options} }
    );
}

sub _buckets { return $_[0]{buckets} }
sub _curr_module { return $_[0]{current} }
sub _curr_bucket_key { return $_[0]{current_key} }
sub default_bucket_key { return $_[0]{default_key} }

sub _default
{
    my $self = shift;
    return $self->{buckets}{ $self->{default_key} } // ($self->{unbound} //= $self->_module($self->{default_key}));
}

# What it is now: that of the bucket in use, or of the default one.
for my $name (qw(data_names label_names output_names symbol _exec_group _optimizer _kvstore _updater)) {
    no strict 'refs';
    *$name = sub {
        my $self = shift;
        return ($self->{current} // $self->_default)->$name;
    };
}
for my $name (qw(data_shapes label_shapes output_shapes)) {
    no strict 'refs';
    *$name = sub { my $self = shift; $self->_need('binded'); return $self->{current}->$name };
}
sub get_symbol { return $_[0]->_default->symbol }
*_symbol = \&get_symbol;

sub bind    ## no critic (ProhibitBuiltinHomonyms)
{
    my ($self, @given) = @_;
    my $arg = $self->_bind_arguments(\@given, bucket_key => undef);
    _fail('bind: shared_module for BucketingModule is not supported') if $arg->{shared_module};
    my ($force, $key) = delete @{$arg}{qw(force_rebind bucket_key)};
    my @params = $self->{binded} && $self->{params_initialized} ? $self->get_params : ();
    if ($force) {
        $self->{binded} = 0;
        $self->{buckets} = {};
    }
    if ($self->{binded}) {
        AI::MXNet::Logging->warning('Already binded, ignoring bind()');
        return;
    }
    $key //= $self->{default_key};
    my $module = delete $self->{unbound};
    $module = $self->_module($key) if not $module or $key ne $self->{default_key};
    $module->bind(%$arg);
    @{$self}{qw(current current_key)} = ($module, $key);
    $self->{buckets}{$key} = $module;
    $self->{$_} = $module->$_ for qw(for_training inputs_need_grad);
    $self->{grad_req} = $arg->{grad_req};
    $self->{binded} = 1;
    $self->set_params(@params) if @params;
    return;
}

sub switch_bucket
{
    my ($self, @given) = @_;
    my $arg = _named('switch_bucket', { bucket_key => undef, data_shapes => undef, label_shapes => undef }, @given);
    _fail('call bind before switching bucket') if not $self->{binded};
    my $key = $arg->{bucket_key};
    my $module = $self->{buckets}{$key};
    if (not $module) {
        $module = $self->_module($key);
        $module->bind(
            data_shapes => $arg->{data_shapes},
            label_shapes => $arg->{label_shapes},
            for_training => $self->{for_training},
            inputs_need_grad => $self->{inputs_need_grad},
            shared_module => $self->_default,
            grad_req => $self->{grad_req},
        );
        $module->install_monitor($self->{monitor}) if $self->{monitor};
        $self->{buckets}{$key} = $module;
    }
    $module->borrow_optimizer($self->_default) if $self->{optimizer_initialized} and not $module->optimizer_initialized;
    # Parameters are common: what one bucket changed, the others must fetch.
    $module->{params_dirty} ||= $self->{current}{params_dirty};
    @{$self}{qw(current current_key)} = ($module, $key);
    return;
}

# Binds the bucket of a batch and goes back to the one in use.
sub prepare
{
    my ($self, $batch) = @_;
    $self->_need(qw(binded params_initialized));
    my $key = $self->{current_key};
    $self->_switch_to($batch);
    $self->switch_bucket(bucket_key => $key);
    return;
}

sub _switch_to
{
    my ($self, $batch) = @_;
    my $key = $batch->bucket_key // $self->{default_key};
    $self->switch_bucket(
        bucket_key => $key,
        data_shapes => $batch->provide_data,
        label_shapes => $batch->provide_label
    );
    return;
}

sub forward
{
    my ($self, $batch, @given) = @_;
    $self->_need(qw(binded params_initialized));
    $self->_switch_to($batch);
    return $self->{current}->forward($batch, @given);
}

sub update
{
    my $self = shift;
    $self->_need(qw(binded params_initialized optimizer_initialized));
    $self->{params_dirty} = 1;
    return $self->{current}->update;
}

for my $name (qw(backward get_outputs get_input_grads get_states set_states update_metric)) {
    no strict 'refs';
    *$name = sub {
        my ($self, @args) = @_;
        $self->_need(qw(binded params_initialized));
        return $self->{current}->$name(@args);
    };
}

sub init_params
{
    my ($self, @given) = @_;
    return if $self->{params_initialized} and not {@given}->{force_init};
    _fail('call bind before initializing the parameters') if not $self->{binded};
    $self->{current}->init_params(@given);
    $self->{params_initialized} = 1;
    return;
}

sub get_params
{
    my $self = shift;
    $self->_need(qw(binded params_initialized));
    return $self->{current}->get_params;
}

# set_params(\%arg, \%aux, $allow_missing = 0, $force_init = 1), or these two by name
sub set_params
{
    my ($self, $arg_params, $aux_params, @given) = @_;
    my @names = qw(allow_missing force_init);
    my %arg = @given && $given[0] =~ /^[a-z]/ ? @given : map { $names[$_] => $given[$_] }
        grep { defined $given[$_] } 0 .. $#given;
    $self->{current}->set_params($arg_params, $aux_params // {}, %arg);
    $self->{params_initialized} = 1;
    return;
}

sub init_optimizer
{
    my ($self, @given) = @_;
    $self->_need(qw(binded params_initialized));
    if ($self->{optimizer_initialized} and not {@given}->{force_init}) {
        AI::MXNet::Logging->warning('optimizer already initialized, ignoring...');
        return;
    }
    $self->{current}->init_optimizer(@given);
    $_->borrow_optimizer($self->{current}) for grep { $_ != $self->{current} } values %{ $self->{buckets} };
    $self->{optimizer_initialized} = 1;
    return;
}

sub install_monitor
{
    my ($self, $monitor) = @_;
    $self->_need('binded');
    $self->{monitor} = $monitor;
    $_->install_monitor($monitor) for values %{ $self->{buckets} };
    return;
}

# One set of files for each bucket that was used.
sub save_checkpoint
{
    my ($self, $prefix, $epoch, $with_states) = @_;
    my @params = $self->get_params;
    for my $key (sort keys %{ $self->{buckets} }) {
        my $module = $self->{buckets}{$key};
        $module->{params_dirty} = 1;
        $module->save_checkpoint("${prefix}_$key", $epoch, $with_states);
    }
    return;
}

1;

__END__

=head1 NAME

AI::MXNet::Module::Bucketing - modules of several shapes on the same parameters

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    my $module = mx->mod->BucketingModule(
        sym_gen => sub {
            my ($length) = @_;
            my $sum = mx->sym->sum(mx->sym->Variable('data'), axis => 1, keepdims => 1);
            return (mx->sym->FullyConnected($sum, num_hidden => 1, name => 'fc'), ['data'], undef);
        },
        default_bucket_key => 8,
    );
    $module->bind(data_shapes => [['data', [2, 8]]], for_training => 0);
    $module->init_params;
    $module->switch_bucket(bucket_key => 5, data_shapes => [['data', [2, 5]]]);
    print join(' ', sort keys %{ $module->_buckets }), "\n";    # 5 8

=head1 DESCRIPTION

C<sym_gen> makes a symbol, and the names of its data and labels, from a key such as the length of a sentence. A batch carries
the key of its bucket. The first batch of a bucket binds a module to it, which shares parameters, gradients and the memory of
its inputs with the default one. All else is as in L<AI::MXNet::Module>.

=cut
