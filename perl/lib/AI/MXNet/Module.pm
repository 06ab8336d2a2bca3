package AI::MXNet::Module;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use AI::MXNet::Context;
use AI::MXNet::DataParallelExecutorGroup;
use AI::MXNet::IO;
use AI::MXNet::Initializer;
use AI::MXNet::Logging;
use AI::MXNet::Module::Base;
use AI::MXNet::Module::Bucketing;
use AI::MXNet::Module::Optimizing;
use AI::MXNet::NDArray;
use Scalar::Util qw(blessed);

our @ISA = ('AI::MXNet::Module::Optimizing', 'AI::MXNet::Module::Base');    ## no critic (ProhibitExplicitISA)

*_fail = \&AI::MXNet::Module::Base::_fail;
*_named = \&AI::MXNet::Module::Base::_named;
*_log = \&AI::MXNet::Module::Base::_log;

# -- construction

# Without arguments the class itself, so that mx->mod->Module->load works.
sub Module
{
    my ($class, @args) = @_;
    return @args ? __PACKAGE__->new(@args) : __PACKAGE__;
}

sub BucketingModule
{
    my ($class, @args) = @_;
    return @args ? AI::MXNet::Module::Bucketing->new(@args) : 'AI::MXNet::Module::Bucketing';
}

sub new
{
    my ($class, @args) = @_;
    unshift @args, 'symbol' if @args % 2;
    my $arg = _named(
        'Module',
        {
            symbol => undef,
            data_names => ['data'],
            label_names => ['softmax_label'],
            logger => undef,
            context => undef,
            work_load_list => undef,
            fixed_param_names => undef,
            state_names => undef,
            group2ctxs => undef,
        },
        @args
    );
    my $symbol = $arg->{symbol};
    _fail('Module: symbol got ' . ($symbol // 'nothing') . ', want an AI::MXNet::Symbol')
        if not blessed($symbol)
        or not $symbol->isa('AI::MXNet::Symbol');
    my $contexts = $arg->{context} // AI::MXNet::Context->current_ctx;
    $contexts = [$contexts] if ref $contexts ne 'ARRAY';
    for my $context (@$contexts) {
        _fail('Module: context got ' . ($context // 'undef') . ', want mx->cpu or a list of contexts')
            if not blessed $context
            or not $context->isa('AI::MXNet::Context');
    }
    my $workload = $arg->{work_load_list} // [(1) x @$contexts];
    _fail('Module: work_load_list has ' . @$workload . ' entries, want one for each of ' . @$contexts . ' contexts')
        if @$workload != @$contexts;
    my %names = map { $_ => [@{ $arg->{$_} // [] }] } qw(data_names label_names state_names fixed_param_names);
    _check_names($symbol, $names{$_}, $_, $_ ne 'label_names')
        for qw(data_names label_names state_names fixed_param_names);
    my $args = $symbol->list_arguments;
    my %is_input = map { $_ => 1 } map { @$_ } @names{qw(data_names label_names state_names)};
    return bless {
        %names,
        symbol => $symbol,
        context => $contexts,
        work_load_list => $workload,
        group2ctxs => ref $arg->{group2ctxs} eq 'HASH' ? [($arg->{group2ctxs}) x @$contexts] : $arg->{group2ctxs},
        param_names => [grep { !$is_input{$_} } @$args],
        aux_names => $symbol->list_auxiliary_states,
        output_names => $symbol->list_outputs,
        (map { $_ => 0 } qw(binded for_training inputs_need_grad params_initialized optimizer_initialized)),
        },
        ref $class || $class;
}

# Names that the symbol lacks: an error, or a warning.
sub _check_names
{
    my ($symbol, $names, $what, $dies) = @_;
    my $args = $symbol->list_arguments;
    for my $name (@$names) {
        next if grep { $_ eq $name } @$args;
        my @likely = grep { !/_(?:weight|bias|gamma|beta)$/ } @$args;
        my $text =
              "You created Module with Module(..., $what=@$names) but input with name '$name' is not found in "
            . "symbol.list_arguments(). Did you mean one of:\n\t"
            . join "\n\t", @likely;
        _fail($text) if $dies;
        AI::MXNet::Logging->warning('%s', $text) if $name ne 'softmax_label';
    }
    return;
}

sub load
{
    my ($class, $prefix, $epoch, @args) = @_;
    my $with_states = @args % 2 ? shift @args : 0;
    my ($symbol, $arg_params, $aux_params) = $class->load_checkpoint($prefix, $epoch);
    my $self = $class->new(symbol => $symbol, @args);
    @{$self}{qw(_arg_params _aux_params params_initialized)} = ($arg_params, $aux_params, 1);
    $self->{preload_states} = sprintf '%s-%04d.states', $prefix, $epoch if $with_states;
    return $self;
}

sub save_checkpoint
{
    my ($self, $prefix, $epoch, $with_states) = @_;
    $self->{symbol}->save("$prefix-symbol.json");
    my $file = sprintf '%s-%04d.params', $prefix, $epoch;
    $self->save_params($file);
    _log('Saved checkpoint to "%s"', $file);
    if ($with_states) {
        my $states = sprintf '%s-%04d.states', $prefix, $epoch;
        $self->save_optimizer_states($states);
        _log('Saved optimizer state to "%s"', $states);
    }
    return;
}

# -- what it is

for my $name (
    qw(symbol data_names label_names output_names param_names aux_names context work_load_list fixed_param_names))
{
    no strict 'refs';
    *$name = sub { return $_[0]{$name} };
}
for my $name (qw(_arg_params _aux_params _optimizer _kvstore _update_on_kvstore _updater _exec_group)) {
    no strict 'refs';
    *$name = sub { my $self = shift; $self->{$name} = shift if @_; return $self->{$name} };
}
sub get_symbol { return $_[0]{symbol} }
sub _symbol { return $_[0]{symbol} }

sub data_shapes { my $self = shift; $self->_need('binded'); return $self->{data_shapes} }
sub label_shapes { my $self = shift; $self->_need('binded'); return $self->{label_shapes} }
sub output_shapes { my $self = shift; $self->_need('binded'); return $self->_exec_group->get_output_shapes }

# -- binding

# Descriptions of inputs in the order of their names.
sub _descriptions
{
    my ($names, $shapes, $what, $dies) = @_;
    _fail("bind: ${what}_shapes got " . ($shapes // 'undef') . ', want a list of descriptions, or of [name, shape]')
        if defined $shapes
        and (ref $shapes ne 'ARRAY' or grep { !blessed($_) and ref ne 'ARRAY' } @$shapes);
    my @descs =
        map { blessed($_) ? $_ : AI::MXNet::DataDesc->new(name => $_->[0], shape => $_->[1]) } @{ $shapes // [] };
    my $got = join ', ', sort map { $_->name } @descs;
    my $want = join ', ', sort @$names;
    if ($got ne $want) {
        my $text = "Data provided by ${what}_shapes don't match names specified by ${what}_names ($got vs. $want)";
        _fail($text) if $dies;
        AI::MXNet::Logging->warning('%s', $text);
    }
    return \@descs;
}

sub bind    ## no critic (ProhibitBuiltinHomonyms)
{
    my ($self, @given) = @_;
    my $arg = $self->_bind_arguments(\@given);
    if ($arg->{force_rebind}) {
        _fail('bind: call init_params before force_rebind') if $self->{binded} and not $self->{params_initialized};
        $self->get_params if $self->{binded};    # the executors go
        $self->{binded} = 0;
        delete $self->{_exec_group};
    }
    if ($self->{binded}) {
        AI::MXNet::Logging->warning('Already binded, ignoring bind()');
        return;
    }
    _fail('bind: inputs_need_grad wants for_training') if $arg->{inputs_need_grad} and not $arg->{for_training};
    my $data = _descriptions($self->{data_names}, $arg->{data_shapes}, 'data', 1);
    my $label =
        @{ $arg->{label_shapes} // [] } ? _descriptions($self->{label_names}, $arg->{label_shapes}, 'label') : undef;
    if (
        not $label and grep {
            my $name = $_;
            grep { $_ eq $name } @{ $self->{symbol}->list_arguments }
        } @{ $self->{label_names} }
        )
    {
        AI::MXNet::Logging->warning('%s',
            "Data provided by label_shapes don't match names specified by label_names ([] vs. "
                . join(', ', @{ $self->{label_names} }) . ')')
            if $arg->{for_training};
    }
    my $shared = $arg->{shared_module};
    _fail('bind: shared_module wants to be bound and have parameters')
        if $shared and not($shared->binded and $shared->params_initialized);
    $self->{_exec_group} = AI::MXNet::DataParallelExecutorGroup->new(
        symbol => $self->{symbol},
        contexts => $self->{context},
        workload => $self->{work_load_list},
        data_shapes => $data,
        label_shapes => $label,
        param_names => $self->{param_names},
        for_training => $arg->{for_training},
        inputs_need_grad => $arg->{inputs_need_grad},
        shared_group => $shared && $shared->_exec_group,
        fixed_param_names => $self->{fixed_param_names},
        state_names => $self->{state_names},
        grad_req => $arg->{grad_req},
        group2ctxs => $self->{group2ctxs},
    );
    @{$self}{qw(data_shapes label_shapes)} = ($data, $label);
    $self->{for_training} = $arg->{for_training} ? 1 : 0;
    $self->{inputs_need_grad} = $arg->{inputs_need_grad} ? 1 : 0;
    $self->{binded} = 1;

    if ($shared) {
        @{$self}{qw(_arg_params _aux_params params_initialized)} = (@{$shared}{qw(_arg_params _aux_params)}, 1);
        $self->borrow_optimizer($shared) if $shared->optimizer_initialized;
    } elsif ($self->{params_initialized}) {
        $self->_exec_group->set_params(@{$self}{qw(_arg_params _aux_params)});
    }
    return;
}

sub reshape
{
    my ($self, @given) = @_;
    my $arg = _named('reshape', { data_shapes => undef, label_shapes => undef }, @given);
    $self->_need('binded');
    my $data = _descriptions($self->{data_names}, $arg->{data_shapes}, 'data', 1);
    my $label =
        @{ $arg->{label_shapes} // [] } ? _descriptions($self->{label_names}, $arg->{label_shapes}, 'label') : undef;
    $self->_exec_group->reshape($data, $label);
    @{$self}{qw(data_shapes label_shapes)} = ($data, $label);
    return;
}

# -- parameters

sub init_params
{
    my ($self, @given) = @_;
    my $arg = _named(
        'init_params',
        {
            initializer => AI::MXNet::Initializer->Uniform(scale => 0.01),
            arg_params => undef,
            aux_params => undef,
            allow_missing => 0,
            force_init => 0,
            allow_extra => 0,
        },
        @given
    );
    if ($self->{params_initialized} and not $arg->{force_init}) {
        AI::MXNet::Logging->warning('Parameters already initialized and force_init=0. init_params call ignored.');
        return;
    }
    _fail('call bind before initializing the parameters') if not $self->{binded};
    my $init = $arg->{initializer};
    $init = AI::MXNet::Initializer->create($init) if defined $init and not ref $init;
    _fail("init_params: initializer got $init, want an initializer, or the name of one")
        if defined $init
        and not(ref $init eq 'CODE' or blessed $init and overload::Method($init, '&{}'));
    my $attrs = $self->{symbol}->attr_dict;
    my $group = $self->_exec_group;
    my $blank = sub {
        my $array = shift;
        return AI::MXNet::NDArray->zeros($array->shape, dtype => $array->dtype, ctx => AI::MXNet::Context->cpu);
    };
    $self->{_arg_params} //= { map { $group->{params_in_order}[$_] => $blank->($group->param_arrays->[$_][0]) }
            0 .. $#{ $group->param_arrays } };
    $self->{_aux_params} //=
        { map { $self->{aux_names}[$_] => $blank->($group->aux_arrays->[$_][0]) } 0 .. $#{ $self->{aux_names} } };
    my $fill = sub {
        my ($name, $array, $from) = @_;
        if (defined $from and defined $from->{$name}) {
            my $value = $from->{$name};
            my ($want, $got) = map { join ',', @{ $_->shape } } $array, $value;
            _fail("$name: Shape inconsistant: expected $want vs got $got") if $want ne $got;
            $value->astype($array->dtype)->copyto($array) if $value->handle != $array->handle;
            return;
        }
        _fail("$name is not presented") if defined $from and not $arg->{allow_missing};
        return if not defined $init;
        $init->(AI::MXNet::InitDesc->new(name => $name, attrs => $attrs->{$name} // {}), $array);
    };
    $fill->($_, $self->{_arg_params}{$_}, $arg->{arg_params}) for sort keys %{ $self->{_arg_params} };
    $fill->($_, $self->{_aux_params}{$_}, $arg->{aux_params}) for sort keys %{ $self->{_aux_params} };
    if (not $arg->{allow_extra}) {
        for my $pair ([$arg->{arg_params}, $self->{_arg_params}], [$arg->{aux_params}, $self->{_aux_params}]) {
            my ($extra) = grep { !exists $pair->[1]{$_} } sort keys %{ $pair->[0] // {} };
            _fail(qq(Found name "$extra" that is not in the arguments)) if defined $extra;
        }
    }
    $self->{params_initialized} = 1;
    $self->{params_dirty} = 0;
    $group->set_params($self->{_arg_params}, $self->{_aux_params});
    return;
}

sub get_params
{
    my $self = shift;
    $self->_need(qw(binded params_initialized)) if not $self->{params_initialized};
    if ($self->{params_dirty}) {
        $self->_exec_group->get_params($self->{_arg_params}, $self->{_aux_params});
        $self->{params_dirty} = 0;
    }
    return ($self->{_arg_params}, $self->{_aux_params});
}

# set_params(\%arg, \%aux, allow_missing => 0, force_init => 1, allow_extra => 0)
sub set_params
{
    my ($self, $arg_params, $aux_params, @given) = @_;
    my $arg = _named('set_params', { allow_missing => 0, force_init => 1, allow_extra => 0 }, @given);
    if (not $arg->{allow_missing}) {
        return $self->init_params(initializer => undef, arg_params => $arg_params, aux_params => $aux_params, %$arg);
    }
    if ($self->{params_initialized} and not $arg->{force_init}) {
        AI::MXNet::Logging->warning('Parameters already initialized and force_init=0. set_params call ignored.');
        return;
    }
    $self->_exec_group->set_params($arg_params, $aux_params // {}, $arg->{allow_extra});
    $self->{params_initialized} = $self->{params_dirty} = 1;
    $self->{_arg_params} //= {};
    $self->{_aux_params} //= {};
    return;
}

# -- passes

sub forward
{
    my ($self, $batch, @given) = @_;
    my $arg = _named('forward', { is_train => undef }, @given);
    $self->_need(qw(binded params_initialized));
    _fail('forward: got ' . (ref $batch || ($batch // 'nothing')) . ', want an mx->io->DataBatch')
        if not blessed $batch
        or not $batch->can('data');
    $self->_fit_shapes($batch);
    $self->{params_dirty} = 1 if $arg->{is_train} // $self->{for_training};    # states may change
    $self->_exec_group->forward($batch, $arg->{is_train});
    return;
}

# Binds to other shapes when a batch has them.
sub _fit_shapes
{
    my ($self, $batch) = @_;
    my @now = map { $_->shape } @{ $self->{data_shapes} };
    my @new = map { $_->shape } @{ $batch->data };
    return if join(';', map { "@$_" } @now) eq join(';', map { "@$_" } @new);
    my $resized = sub {
        my ($descs, $arrays) = @_;
        return [
            map {
                AI::MXNet::DataDesc->new(
                    name => $descs->[$_]->name,
                    shape => $arrays->[$_]->shape,
                    dtype => $descs->[$_]->dtype,
                    layout => $descs->[$_]->layout
                )
            } 0 .. $#$arrays
        ];
    };
    my $data = $batch->provide_data // $resized->($self->{data_shapes}, $batch->data);
    my $label =
          $batch->provide_label ? $batch->provide_label
        : $self->{label_shapes} && @{ $batch->label // [] } ? $resized->($self->{label_shapes}, $batch->label)
        : undef;
    $self->reshape(data_shapes => $data, label_shapes => $label);
    return;
}

sub backward
{
    my ($self, $out_grads) = @_;
    $self->_need(qw(binded params_initialized));
    $self->_exec_group->backward($out_grads);
    return;
}

for my $name (qw(get_outputs get_input_grads get_states)) {
    no strict 'refs';
    *$name = sub {
        my ($self, $merge) = @_;
        $self->_need(qw(binded params_initialized));
        return $self->_exec_group->$name($merge // 1);
    };
}

sub set_states
{
    my ($self, @given) = @_;
    my $arg = _named('set_states', { states => undef, value => undef }, @given);
    $self->_need(qw(binded params_initialized));
    return $self->_exec_group->set_states(@{$arg}{qw(states value)});
}

sub update_metric
{
    my ($self, $metric, $labels, $pre_sliced) = @_;
    return $self->_exec_group->update_metric($metric, $labels, $pre_sliced);
}

sub install_monitor
{
    my ($self, $monitor) = @_;
    $self->_need('binded');
    return $self->_exec_group->install_monitor($monitor);
}

1;

__END__

=head1 NAME

AI::MXNet::Module - a symbol with its parameters, trained and used

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    my $net = mx->sym->FullyConnected(mx->sym->Variable('data'), num_hidden => 2, name => 'fc');
    $net = mx->sym->SoftmaxOutput($net, name => 'softmax');
    my $x = mx->nd->array([[1, 0], [0, 1], [2, 1], [1, 2]]);
    my $iter = mx->io->NDArrayIter(data => $x, label => mx->nd->array([0, 1, 0, 1]), batch_size => 2);
    my $module = mx->mod->Module($net);
    $module->fit($iter, num_epoch => 5, optimizer_params => { learning_rate => 0.5 });
    print $module->score($iter, 'acc')->{accuracy}, "\n";
    print $module->predict($iter)->aspdl;

=head1 DESCRIPTION

    Module($symbol, data_names => ['data'], label_names => ['softmax_label'], context => mx->cpu, work_load_list =>,
        fixed_param_names =>, state_names =>)

Several contexts share each batch. The steps that C<fit> takes may be taken one by one:

=over 4

=item bind(data_shapes => [[name => $shape], ...], label_shapes =>, for_training => 1, inputs_need_grad => 0, force_rebind => 0, shared_module =>, grad_req => 'write')

=item init_params(initializer =>, arg_params =>, aux_params =>, allow_missing => 0, force_init => 0, allow_extra => 0)

C<get_params> returns both hashes, C<set_params(\%arg, \%aux)> replaces them; C<save_params($file)>, C<load_params($file)>.

=item init_optimizer(kvstore => 'local', optimizer => 'sgd', optimizer_params => {...}, force_init => 0)

C<rescale_grad> is 1/batch unless it is given. C<borrow_optimizer($module)> uses another module's.

=item forward($batch, is_train =>), backward($out_grads), update, forward_backward($batch)

A batch of other shapes binds the module to them. C<get_outputs($merge = 1)>, C<get_input_grads($merge = 1)>, C<get_states(0)>,
C<set_states(states =E<gt>, value =E<gt>)>, C<update_metric($metric, \@labels)>, C<install_monitor($monitor)>.

=item fit($iter, num_epoch =>, ...), score($iter, $metric, ...), predict($iter, ...), iter_predict($iter, ...)

=item save_checkpoint($prefix, $epoch, $with_states), Module->load($prefix, $epoch, $with_states, ...), load_checkpoint($prefix, $epoch)

F<prefix-symbol.json>, F<prefix-0001.params>, F<prefix-0001.states>.

=back

C<BucketingModule> is L<AI::MXNet::Module::Bucketing>.

=cut
