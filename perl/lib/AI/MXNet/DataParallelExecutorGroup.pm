package AI::MXNet::DataParallelExecutorGroup;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use AI::MXNet::IO;
use AI::MXNet::Symbol;
use List::Util qw(sum0);
use Scalar::Util qw(blessed);

# Executors of one symbol, one for each context, and how a batch is cut among them.

sub _fail { return AI::MXNet::Keshi::fail(@_) }

# symbol, contexts, workload, data_shapes, label_shapes, param_names, for_training, inputs_need_grad, shared_group,
# fixed_param_names, state_names, grad_req, group2ctxs
sub new
{
    my ($class, %field) = @_;
    my $self = bless {
        %field,
        arg_names => $field{symbol}->list_arguments,
        aux_names => $field{symbol}->list_auxiliary_states,
    }, $class;
    $self->{$_} //= [] for qw(fixed_param_names state_names param_names);
    for my $shapes (grep { $_ } @field{qw(data_shapes label_shapes)}) {
        $shapes = [map { blessed($_) ? $_ : AI::MXNet::DataDesc->new(name => $_->[0], shape => $_->[1]) } @$shapes];
    }
    $self->{workload} //= [(1) x @{ $self->{contexts} }];
    $self->{shared_data_arrays} =
        $self->{shared_group} ? $self->{shared_group}{shared_data_arrays} : [map { +{} } @{ $self->{contexts} }];
    my @outputs = @{ $self->{symbol}->list_outputs };
    my $layout = sub { AI::MXNet::DataDesc->get_batch_axis($_[0]->attr('__layout__')) };
    $self->{output_layouts} = [map { $layout->($self->{symbol}->slice($_)) } 0 .. $#outputs];
    $self->{grad_req} = $self->_requests($field{grad_req} // 'write', $field{data_shapes});
    $self->bind_exec($field{data_shapes}, $field{label_shapes}, $self->{shared_group});
    return $self;
}

for my $name (
    qw(symbol contexts workload execs grad_req param_names arg_names aux_names shared_data_arrays data_shapes label_shapes
    slices batch_size for_training inputs_need_grad state_names fixed_param_names data_arrays label_arrays
    param_arrays grad_arrays aux_arrays input_grad_arrays state_arrays)
    )
{
    no strict 'refs';
    *$name = sub { return $_[0]{$name} };
}
sub _p { return $_[0] }

# What is done with the gradient of each argument.
sub _requests
{
    my ($self, $given, $data_shapes) = @_;
    my @names = @{ $self->{arg_names} };
    return { map { $_ => 'null' } @names } if not $self->{for_training};
    my $of =
        ref $given eq 'HASH'
        ? sub { $given->{ $_[0] } }
        : ref $given eq 'ARRAY' ? do {
        my %of;
        @of{@names} = @$given;
        sub { $of{ $_[0] } }
        }
        : sub { $given };
    my %is_param = map { $_ => 1 } @{ $self->{param_names} };
    my %is_fixed = map { $_ => 1 } @{ $self->{fixed_param_names} };
    my %is_data = map { $_->name => 1 } @$data_shapes;
    my %request;
    for my $name (@names) {
        $request{$name} =
              $is_param{$name} ? ($is_fixed{$name} ? 'null' : $of->($name) // 'write')
            : $is_data{$name} ? ($self->{inputs_need_grad} ? $of->($name) // 'write' : 'null')
            : ref $given ? $of->($name) // 'null'
            : 'null';
    }
    return \%request;
}

# -- cutting batches

# Which entries of the batch each context gets.
sub decide_slices
{
    my ($self, $data_shapes) = @_;
    my @axes = map { AI::MXNet::DataDesc->get_batch_axis($_->layout) } @$data_shapes;
    for my $i (0 .. $#axes) {
        next if $axes[$i] == -1;
        my ($name, $size) = ($data_shapes->[$i]->name, $data_shapes->[$i]->shape->[$axes[$i]]);
        if (defined $self->{batch_size}) {
            _fail("all data must have the same batch size: batch_size = $self->{batch_size}, but $name has shape ("
                    . join(',', @{ $data_shapes->[$i]->shape }) . ')')
                if $size != $self->{batch_size};
        } else {
            $self->{batch_size} = $size;
            $self->{slices} = split_input_slice($size, $self->{workload});
        }
    }
    return \@axes;
}

sub split_input_slice
{
    my ($batch_size, $workload) = @_;
    my $total = sum0(@$workload);
    my @counts = map { int($_ * $batch_size / $total + 0.5) } @$workload;
    my $sum = sum0(@counts);
    $counts[-1] += $batch_size - $sum if $sum < $batch_size;
    my ($end, @slices) = (0);
    for my $count (@counts) {
        my $begin = $end < $batch_size ? $end : $batch_size;
        $end = $begin + $count < $batch_size ? $begin + $count : $batch_size;
        _fail('Too many slices such that some splits are empty') if $begin >= $end;
        push @slices, [$begin, $end];
    }
    return \@slices;
}

sub _sliced_shape
{
    my ($self, $shapes, $i, $axes) = @_;
    return map {
        my ($desc, $axis) = ($shapes->[$_], $axes->[$_]);
        my @shape = @{ $desc->shape };
        $shape[$axis] = $self->{slices}[$i][1] - $self->{slices}[$i][0] if $axis >= 0;
        AI::MXNet::DataDesc->new(name => $desc->name, shape => \@shape, dtype => $desc->dtype, layout => $desc->layout)
    } 0 .. $#$shapes;
}

# -- binding

sub bind_exec
{
    my ($self, $data_shapes, $label_shapes, $shared_group, $reshape) = @_;
    delete $self->{batch_size};
    $self->{data_axes} = $self->decide_slices($data_shapes);
    $self->{label_axes} = $self->decide_slices($label_shapes) if $label_shapes;
    my $old = $self->{execs};
    $self->{execs} = [];
    for my $i (0 .. $#{ $self->{contexts} }) {
        my @descs = (
            $self->_sliced_shape($data_shapes, $i, $self->{data_axes}),
            $label_shapes ? $self->_sliced_shape($label_shapes, $i, $self->{label_axes}) : (),
        );
        push @{ $self->{execs} }, $reshape
            ? $self->_reshaped($old->[$i], \@descs)
            : $self->_bind_one($i, \@descs, $shared_group);
    }
    $self->{data_shapes} = $data_shapes;
    $self->{label_shapes} = $label_shapes;
    $self->_collect_arrays;
    return;
}

# Labels may be left out, and change with the data; parameters must not.
sub _reshaped
{
    my ($self, $exec, $descs) = @_;
    my $new = $exec->reshape($self->_used($descs), allow_up_sizing => 1, partial_shaping => 1);
    for my $name (@{ $self->{param_names} }) {
        my ($had, $wants) = map { join ',', @{ $_->arg_dict->{$name}->shape } } $exec, $new;
        _fail(
            "Module: $name has shape ($had), but the network wants ($wants) with " . join ' and ',
            map { $_->name . ' of shape (' . join(',', @{ $_->shape }) . ')' } @$descs
        ) if $had ne $wants;
    }
    return $new;
}

# The shapes of what the symbol has.
sub _used
{
    my ($self, $descs) = @_;
    my %is_arg = map { $_ => 1 } @{ $self->{arg_names} };
    return { map { $_->name => $_->shape } grep { $is_arg{ $_->name } } @$descs };
}

sub _bind_one
{
    my ($self, $i, $descs, $shared_group) = @_;
    my %is_arg = map { $_ => 1 } @{ $self->{arg_names} };
    return $self->{symbol}->simple_bind(
        ctx => $self->{contexts}[$i],
        grad_req => { %{ $self->{grad_req} } },
        shapes => $self->_used($descs),
        type_dict => { map { $_->name => $_->dtype } grep { $is_arg{ $_->name } } @$descs },
        group2ctx => ($self->{group2ctxs} // [])->[$i] // {},
        shared_arg_names => $self->{param_names},
        shared_exec => $shared_group ? $shared_group->{execs}[$i] : undef,
        shared_buffer => $self->{shared_data_arrays}[$i],
    );
}

sub reshape
{
    my ($self, $data_shapes, $label_shapes) = @_;
    my $text = sub {
        return join ';', map { $_->name . ' ' . join(',', @{ $_->shape }) } map { @{ $_ // [] } } @_;
    };
    return if $text->($data_shapes, $label_shapes) eq $text->($self->{data_shapes}, $self->{label_shapes});
    my %before = %$self;
    return if eval { $self->bind_exec($data_shapes, $label_shapes, undef, 1); 1 };
    my $error = $@;
    %$self = %before;
    die $error;
}

# Arrays by what they are for, and then by context.
sub _collect_arrays
{
    my $self = shift;
    my @execs = @{ $self->{execs} };
    my @data = map { $_->name } @{ $self->{data_shapes} };
    my @params = grep {
        my $name = $_;
        grep { $_ eq $name } @{ $self->{param_names} }
    } @{ $self->{arg_names} };
    my $from = sub {
        my ($dict, $name) = @_;
        [map { $_->$dict->{$name} } @execs];
    };
    $self->{data_arrays} = [map { $from->('arg_dict', $_) } @data];
    my %is_arg = map { $_ => 1 } @{ $self->{arg_names} };
    $self->{label_arrays} =
        [map { $is_arg{ $_->name } ? $from->('arg_dict', $_->name) : undef } @{ $self->{label_shapes} // [] }];
    $self->{state_arrays} = [map { $from->('arg_dict', $_) } @{ $self->{state_names} }];
    $self->{params_in_order} = \@params;
    $self->{param_arrays} = [map { $from->('arg_dict', $_) } @params];
    $self->{grad_arrays} = $self->{for_training} ? [map { $from->('grad_dict', $_) } @params] : undef;
    $self->{input_grad_arrays} = $self->{inputs_need_grad} ? [map { $from->('grad_dict', $_) } @data] : undef;
    $self->{aux_arrays} = [map { $from->('aux_dict', $_) } @{ $self->{aux_names} }];
    return;
}

# -- parameters

sub set_params
{
    my ($self, $arg_params, $aux_params, $allow_extra) = @_;
    $_->copy_params_from($arg_params, $aux_params, $allow_extra) for @{ $self->{execs} };
    return;
}

# Puts the means over the contexts into the hashes.
sub get_params
{
    my ($self, $arg_params, $aux_params) = @_;
    my $mean = sub {
        my ($into, $name, $arrays) = @_;
        my $first = $arrays->[0];
        my $sum = $first->as_in_context(AI::MXNet::Context->cpu);
        $sum = $sum + $_->as_in_context($sum->context) for @{$arrays}[1 .. $#$arrays];
        $sum = $sum / @$arrays if @$arrays > 1;
        defined $into->{$name}
            ? $sum->astype($into->{$name}->dtype)->copyto($into->{$name})
            : ($into->{$name} = $sum->copy);
    };
    $mean->($arg_params, $self->{params_in_order}[$_], $self->{param_arrays}[$_]) for 0 .. $#{ $self->{param_arrays} };
    $mean->($aux_params, $self->{aux_names}[$_], $self->{aux_arrays}[$_]) for 0 .. $#{ $self->{aux_arrays} };
    return;
}

# -- passes

# The entries begin to end of an axis.
sub _part
{
    my ($array, $axis, $begin, $end) = @_;
    return $array if $axis < 0 or $begin == 0 and $end == $array->shape->[$axis];
    return $array->slice([$begin, $end - 1]) if $axis == 0;
    return $array->slice_axis(axis => $axis, begin => $begin, end => $end);
}

sub _load
{
    my ($self, $sources, $targets, $axes) = @_;
    for my $k (0 .. $#$targets) {
        next if not $targets->[$k] or not defined $sources->[$k];
        my $source = $sources->[$k];
        $source = AI::MXNet::NDArray->array($source) if not blessed($source) or not $source->isa('AI::MXNet::NDArray');
        for my $i (0 .. $#{ $self->{slices} }) {
            $targets->[$k][$i] .= _part($source, $axes->[$k], @{ $self->{slices}[$i] });
        }
    }
    return;
}

sub forward
{
    my ($self, $batch, $is_train) = @_;
    $self->_load($batch->data, $self->{data_arrays}, $self->{data_axes});
    $self->_load($batch->label, $self->{label_arrays}, $self->{label_axes}) if $self->{label_shapes} and $batch->label;
    $_->forward($is_train // $self->{for_training} ? 1 : 0) for @{ $self->{execs} };
    return;
}

sub backward
{
    my ($self, $out_grads) = @_;
    _fail('re-bind with for_training=1 to run backward') if not $self->{for_training};
    $out_grads = [$out_grads] if defined $out_grads and ref $out_grads ne 'ARRAY';
    for my $i (0 .. $#{ $self->{execs} }) {
        my @own = map {
            _part($out_grads->[$_], $self->{output_layouts}[$_], @{ $self->{slices}[$i] })
                ->as_in_context($self->{contexts}[$i])
        } 0 .. $#{ $out_grads // [] };
        $self->{execs}[$i]->backward(\@own);
    }
    return;
}

# One array from those of the contexts.
sub _merged
{
    my ($arrays, $axis) = @_;
    return $arrays->[0] if @$arrays == 1 or $axis < 0;
    my $ctx = $arrays->[0]->context;
    return AI::MXNet::NDArray->concat((map { $_->as_in_context($ctx) } @$arrays), { dim => $axis });
}

sub get_outputs
{
    my ($self, $merge) = @_;
    my @outputs = map {
        my $k = $_;
        [map { $_->outputs->[$k] } @{ $self->{execs} }]
    } 0 .. $#{ $self->{output_layouts} };
    return \@outputs if not $merge // 1;
    return [map { _merged($outputs[$_], $self->{output_layouts}[$_]) } 0 .. $#outputs];
}

sub get_output_shapes
{
    my $self = shift;
    my @names = @{ $self->{symbol}->list_outputs };
    return [
        map {
            my @shape = @{ $self->{execs}[0]->outputs->[$_]->shape };
            my $axis = $self->{output_layouts}[$_];
            $shape[$axis] = $self->{batch_size} if $axis >= 0;
            [$names[$_], \@shape]
        } 0 .. $#names
    ];
}

sub get_input_grads
{
    my ($self, $merge) = @_;
    _fail('get_input_grads: bind with inputs_need_grad => 1 to have them') if not $self->{inputs_need_grad};
    my @grads = @{ $self->{input_grad_arrays} };
    return \@grads if not $merge // 1;
    return [map { _merged($grads[$_], $self->{data_axes}[$_]) } 0 .. $#grads];
}

sub get_states
{
    my ($self, $merge) = @_;
    _fail('merge_multi_context=True is not supported for get_states yet.') if $merge // 1;
    return $self->{state_arrays};
}

sub set_states
{
    my ($self, $states, $value) = @_;
    _fail('Only one of states & value can be specified.') if defined $states and defined $value;
    _fail('At least one of states & value must be specified.') if not defined $states and not defined $value;
    for my $k (0 .. $#{ $self->{state_arrays} }) {
        for my $i (0 .. $#{ $self->{state_arrays}[$k] }) {
            $self->{state_arrays}[$k][$i] .= defined $states ? $states->[$k][$i] : $value;
        }
    }
    return;
}

sub update_metric
{
    my ($self, $metric, $labels, $pre_sliced) = @_;
    for my $i (0 .. $#{ $self->{execs} }) {
        my @own =
            $pre_sliced
            ? @{ $labels->[$i] }
            : map { _part($labels->[$_], ($self->{label_axes} // [])->[$_] // 0, @{ $self->{slices}[$i] }) }
            0 .. $#$labels;
        $metric->update(\@own, $self->{execs}[$i]->outputs);
    }
    return;
}

sub install_monitor
{
    my ($self, $monitor) = @_;
    $monitor->install($_) for @{ $self->{execs} };
    return;
}

1;

__END__

=head1 NAME

AI::MXNet::DataParallelExecutorGroup - executors of one symbol on several contexts

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    my $group = AI::MXNet::DataParallelExecutorGroup->new(
        symbol => mx->sym->Variable('data') * 2,
        contexts => [mx->cpu(0), mx->cpu(1)],
        data_shapes => [mx->io->DataDesc('data', [4, 3])],
        param_names => [],
        for_training => 0,
    );
    $group->forward(mx->io->DataBatch(data => [mx->nd->ones([4, 3])]));
    print $group->get_outputs->[0], "\n";    # 4x3, computed in two halves

=head1 DESCRIPTION

What an L<AI::MXNet::Module> runs. It binds a symbol once for each context, cuts each batch among them in proportion to their
work load, and puts their outputs together again. C<execs> are the executors, C<shared_data_arrays> the hashes, one for each
context, of the arrays that groups with a common C<shared_group> use for their inputs.

=cut
